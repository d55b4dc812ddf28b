"""Durable delivery: a log record or a span is on disk before ``emit`` or ``end`` returns, and is sent until a server accepts it.

Purpose
=======

The SDK's batch processor keeps records in memory. They are lost when the process is killed, when the queue is full, or when a
server is down for longer than a few seconds. This package keeps them in a directory, the *outbox*, instead. Its promise: a
record that was *accepted* (``on_emit`` returned, and the record was not counted as rejected) is delivered at least once,
becomes a dead letter, or is counted as damaged or dropped. None disappears without a count.

Programs use `heliograph.delivery.processor.OutboxLogRecordProcessor` and
`heliograph.delivery.span_processor.OutboxSpanProcessor`. The commands ``heliograph outbox`` show and change the directory.

Below, a *record* is a log record or a span. A *signal* is logs or traces, as in OpenTelemetry: `heliograph.delivery.signals` has everything in
which the two differ. A *signal handler* is a function of Python's `signal` module, which runs in the main thread, in the middle of any line.

Each processor has storages, a worker and a sender of its own, and adopts only folders of its signal: nothing of one signal waits for the
other. They share the outbox, with its limit and its dead letters.

Constraints
===========

- ``emit`` is called in the middle of a program's work, by any thread, in signal handlers, and in forked children. It must
  cost microseconds, must not wait for the network, and must not raise.
- Processes are killed, forked, and started by the hundred on one outbox. They have no common parent and no daemon.
- Disks fill up and fail. Files are truncated and damaged. None of this may end the program, or stop other records.
- Servers are down for hours, answer with pages of HTML, ask clients to wait, or refuse single records.
- It needs no server, and no library but OpenTelemetry's. (A commit to SQLite for each record would cost ten times as much.)

On disk
=======

::

    OUTBOX/                                    0700; all files in it are 0600
      4711-9f2c01ab/                           a folder: <process id>-<8 random hex digits>
        lock                                   locked (flock) by the folder's owner
        00000000000000000001.journal           a segment, named by the sequence of its first record
        00000000000000001407.journal           the next one
        cursor                                 the sequence of the last acknowledged record
        damaged/<segment>-<offset>.bin         bytes that could not be read
      .4711-0c9d3e5f/                          a folder that is being created
      4711-31d0c2ee.traces/                    a folder of spans
      damaged/<folder>/…                       damaged bytes of folders that are deleted
      dead.db                                  dead letters, in SQLite

A folder has one owner: the process that writes it, or, after its death, the one that adopted it. It holds the journal of one signal and one
resource, since a request carries the resource once. A record is encoded once, as the field that it will be in the request, and its bytes are
copied from then on. The journal is described in `heliograph.delivery.journal`, the format of its files in `heliograph.delivery.journal.frames`
and `heliograph.delivery.journal.cursor`; ``docs/delivery.md`` has a table of the format for users.

Threads and locks
=================

======================== ============================================================================================
thread                   may do
======================== ============================================================================================
any thread that emits    encode; find a storage; append to a journal; create a folder or a segment; drop the oldest one
signal handler           the same, in the middle of the same work of its own thread
the worker (one each)    read and acknowledge journals; delete segments; send; adopt, send and delete orphans
any thread that flushes  note the newest sequences; cancel a backoff; wait for the worker
``heliograph-resolver``  look up the server's addresses for the worker, which leaves it behind at the deadline
``heliograph-commit``    sync for tasks that await it; one for each journal, if ``full`` is set and a task has awaited
thread that shuts down   flush; end the worker; then close, or delete, the folders
a metric reader's thread read counters, sequences, sizes and ages
forked child             close inherited files; start again with folders, counters and a worker of its own
another process          lock, send and delete a folder whose lock is free; read any folder without changing it
======================== ============================================================================================

=================================== =================================================================================
lock                                guards
=================================== =================================================================================
``flock`` on ``<folder>/lock``      the folder, between processes: who writes it, who sends it, who deletes it
`Storages._lock`                    the set of storages, and "shut down"
`ResourceStorage._lock`             the creation of its folder, giving it up, and "closed"
`AwaitedCommits._lock`              the start of its thread, and "closed"
`LazyThread._lock`                  the thread of `AwaitedCommits`: which one runs
`JournalWriter._lock`               the current segment, full ones that are not synced yet, its scopes, the next sequence
`GroupCommit._lock`                 which thread syncs to the disk, up to which sequence that is done, and what failed
`JournalReader._reading`            the sequences from which records are read, sent and given up
`MemoryJournal._lock`               its records and their size
`Schedule._lock`                    the times before which nothing is sent
`OutboxMetrics._lock`               the list of processors that are reported
`OutboxCounters._lock`              the counters
`LimitedLog._lock`                  the number of failures of each kind since the last line about it
`HttpTransport._sending`, `_lock`   the request under way; the socket that ``close`` interrupts, and "closed"
`GrpcTransport._lock`               the channel
`Worker._progress`                  no data: flushing threads wait at it for the worker
=================================== =================================================================================

An emitting thread usually takes one lock, for the time in which a frame is copied: the writer's. It takes more in these cases:

- ``full``: also that of `GroupCommit`, and of `AwaitedCommits` if an event loop awaits the sync.
- The first record of a logger or a resource: those of `Storages` and `ResourceStorage`.
- The segment is full, and so is the outbox: inside the writer's lock, those of the readers whose oldest records are dropped. The
  thread does not log, since a handler of `logging` may emit, and counts without a lock. The worker logs.
- A record that is rejected: that of `OutboxCounters`, and those of `logging` for the line about it.
- A record that goes to memory: that of `MemoryJournal`. A failure of the disk also takes those of `LimitedLog` or `logging`.

To read and acknowledge, the worker takes the locks of the readers and of the memory, and not the writer's: it reads what the length fields,
written last, declare complete. It takes the writer's lock, inside that of `ResourceStorage`, only to give a lost folder up.

Most locks are taken alone. Where one is taken inside another, it comes later in the table: that of the writer inside
`ResourceStorage._lock`, those of `GroupCommit` and of readers inside the writer's, and so on. The locks that a signal handler may meet are
``RLock``, since its own thread may hold them. The known limits name the one case in which a handler takes two in the other order. The worker
alone takes those of the transports, except for ``close``. An ``RLock`` lets the handler in, so a writer that is in the middle of a frame raises
`JournalBusy`, and the record goes to memory. The worker is woken by a `Bell`, which a handler may ring, too.

Only the worker reads and acknowledges. A thread that drops segments gives up their records in the reader first, under the reader's lock.
Others read single values of a reader without a lock.

Invariants
==========

Those of a journal are in `heliograph.delivery.journal`, those of the directory in `heliograph.delivery.outbox.folders`. Beyond them:

1. A record is acknowledged only after a server accepted it, or after it is stored as a dead letter. After any exception the
   reader goes back to the first record that is not acknowledged, so none is skipped.
2. A folder or file that somebody else may have prepared is passed over, and stays as it is (`heliograph.delivery.trust`).
3. Nothing is sent before the time that a server asked for with ``Retry-After``, not even for a flush or a shutdown. The one exception is in
   the known limits.

Operation, step by step
=======================

**Emit.** The record is encoded, without a lock. If it has nowhere else to go, the logger encodes the arguments of ``emit``
(`heliograph.delivery.logger`); else the processor encodes the SDK's object. The logger's resource and scope lead to a storage, by a
cache.

**Append.** The journal of the storage takes the record, which survives the death of the process from then on. With
``HELIOGRAPH_OUTBOX_SYNC=full`` the thread then waits for a sync of the disk. `Host.track_event`, and the hook in Datasette, do not wait in the
event loop: a thread of the journal does, and the caller awaits it (`heliograph.runtime.deferred_waits`).

**Full outbox.** Before a journal reserves a segment, the size of the outbox is checked against the share of the signal (the whole for log
records, half of it for spans). If it is full, spans of this process are dropped to make room for log records. If there are none, `OutboxFull`
is raised, or the oldest segment is dropped.

**Poll.** The worker looks for records five times a second, or once a second while records come, and is woken after each MiB and by every
flush. It reads and sends what waits then, and not what comes meanwhile, so that steady traffic makes few requests.

**Send.** Header, scopes and records are joined to a request. One request is under way at a time.

**Verdict.** The response decides (`heliograph.delivery.transport`). *Delivered* and *partial* acknowledge the batch. *Retry*
and *hold* keep it, and wait for a growing backoff, and at least for the server's ``Retry-After``. After *split* and *bad
data* the batch is sent in halves, down to a single record. That one is only suspected at first, because a server that fails may
refuse everything: it becomes a dead letter if another record is accepted, and it is refused again (`heliograph.delivery.sending.refusals`).

**Acknowledge.** The journal notes it, and deletes what it does not need any more. Waiting flushes are notified.

**Delete.** At shutdown, a folder is deleted if all in it is acknowledged. Else it is unlocked, and is an orphan from then on.

**Adoption.** At its start and every ten seconds, a worker tries the lock of every folder. One that is free belongs to a dead
process. At most 16 orphans are open at once; each is sent like a journal of the process itself, and then deleted. Between their
batches the process's own records are sent.

**Fork.** The parent goes on undisturbed. In the child, a callback closes the inherited descriptors and mappings without writing
to them, replaces every lock (a thread that does not exist in the child may have held it), and starts a worker. The
child's first record creates a folder of its own.

**Shutdown.** New storages are refused, what waits is sent within the timeout, and orphans after it. Then the worker is ended,
with the request under way cancelled. Only then are journals closed. Records that are in memory are moved to the disk.

**Loss.** In each round, and so at least every five seconds, the worker checks that the folder is still there, with its lock, that the
last segment has its size, and that they still pass the checks of `heliograph.delivery.trust`. If not, the folder is given up, and the
next record creates another one, with the sequences that follow. If a reader could not open the last segment by its name any more, its
records are read through the open file, and go to memory. Records that were cut off a last segment are counted as damaged: the writer
knows how many there were. If the folder can be adopted, it is an orphan. If not, the records of its older segments are lost, and counted
as damaged.

**Disk failure.** If an append fails, the record goes to memory (64 MiB for each resource), an error is logged, and the disk
is tried again with the first record a second later. The worker sends from disk and from memory. If the cursor cannot be
written, sending goes on, and duplicates are possible after a restart. If a dead letter cannot be stored, its record is not
acknowledged, and waits. If a journal cannot be read, the worker logs it, pauses for a second, and sends the others.

Known limits
============

- Delivery is at least once. A response that is lost, or a crash between a response and the cursor, sends records twice.
  Each has a ``log.record.uid``, by which a receiver can find duplicates.
- With ``full``, everything else that emits in an event loop, such as `Host.track` or a handler of `logging`, stops the loop for a sync.
- Without ``full``, a power cut loses what the system has not written to the disk yet.
- Order is kept within a folder, and not between folders, between disk and memory, or for dead letters that are requeued.
- POSIX only, and only on file systems with ``flock``.
- ``HELIOGRAPH_OUTBOX_MAX_BYTES`` is checked for each new segment. Processes that check at the same time can exceed it by a
  segment each. Dead letters count, but are stored whatever the size.
- ``drop_oldest`` drops segments of the process itself, never those of others. The same holds for spans that are dropped to make room for
  log records: one process has to write both.
- Records that are damaged at the end of a journal whose process has ended are counted by the lengths of their frames, as far as
  these can be followed, and as at least one: the true number cannot be known.
- If a server refuses a single record as invalid and asks to wait, another record is tried at once, without the wait that was asked for.
- A record that is dropped while it is being sent is counted as dropped if the request fails. The server may have stored it
  before, all the same.
- A signal handler that emits takes the writer's lock. Where it has interrupted its thread while that held a lock further down in the table,
  the order is the wrong one: if another thread holds the writer's lock at that moment and needs the same one, to drop the oldest records or
  to give a lost folder up, the two wait for each other. Each of these locks is held for microseconds.
- A record that a signal handler emits in the middle of an append of its own thread is in memory until it is sent. If the process is killed
  before, it is lost.
- A signal handler that calls ``shutdown`` in the middle of an ``emit`` of its own thread, and then returns to it, closes
  the file that the ``emit`` is writing to: the ``emit`` raises ``ValueError``.
- A signal handler that forks in the middle of an ``emit`` of its own thread does the same to the ``emit`` in the child. The one in the parent
  stores the record.
- A child that is forked while the parent's worker is adopting may inherit a lock file that it does not know of. That
  folder stays locked until the child ends, too.
"""

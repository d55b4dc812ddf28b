"""The journal: the records of one folder of the outbox, on disk until a server accepted them.

Purpose
    `JournalWriter.append` returns when a record survives the death of the process. A `JournalReader` gives the records to the
    sender, in order, and deletes them when they are acknowledged.

Constraints
    - An append is on the path of every event: a few microseconds, from any thread, usually without a system call.
    - A kill at any moment loses no record whose append returned, and makes nothing unreadable.
    - A full disk is an error before the record is written, never a half-written record or a signal.
    - Files may be damaged by disks, people or bugs. Damage costs the records that it hit, no others.
    - Many short-lived processes use one outbox: a small journal costs one small file.

Files
    ==============================  ==================================================================================
    ``<first sequence>.journal``    a segment: a header with the resource, then frames (format: `frames`)
    ``cursor``                      the last acknowledged sequence, replaced as a whole (format: `cursor`)
    ``damaged/``                    bytes that could not be read, for people to look at
    ``lock``                        the lock of the owner (`heliograph.delivery.outbox.folder_lock`)
    ==============================  ==================================================================================

    Folders have mode 0700 and files 0600, whatever the umask.

Invariants
    1. A folder has one writer at most, and one reader at most that acknowledges. The lock of the folder ensures this among
       processes: it is taken before the first byte is written, and released after the last one is read. Readers that only look
       (``read_only``) may come at any time.
    2. The sequences of records start at 1, have no gap, and are never used twice; a folder that replaces a lost one goes on after the
       last sequence of that. A gap in the files is damage, or records that were given up, and its size is known.
    3. A frame's length is written after the rest of the frame: a frame is there as a whole or not at all.
    4. When a segment exists, all older ones are complete. Only the last segment changes.
    5. Each segment has its own header and defines every scope that it uses: it can be read alone.
    6. The cursor never goes past a record that is not acknowledged. A segment is deleted as a whole, when the cursor is past it or its
       records were given up to make room, and so is a folder.
    7. Space is reserved before it is written: a full disk is an error when a segment is created, and never later.

Operation, step by step
    - *Append*: under the writer's lock, the record gets the next sequence. If the segment has no room, the journal *rolls*. If the segment does
      not have the scope yet, it is defined. Then the frame is written, its length last. From here on it survives the death of the
      process, since the pages belong to the system.
    - *Roll*: ask for room in the outbox, reserve a file, write the header. The first segment has 256 KiB, and each next is twice as large, up
      to 16 MiB: many processes write little. A durable journal keeps the old segment open until the next sync, which covers it, the new
      segment, and the names of folder and file.
    - *Sync* (durable): the thread waits for a sync of the disk that began after its append. There is one at a time: a thread that finds none
      under way runs the next one for all who wait by then (`group_commit`). It runs without the GIL and without a lock, so all other
      threads go on. `sync` says why ``fdatasync`` covers a memory map on Linux, and what is called elsewhere. If it fails, each record that it
      should have covered is reported as not synced; it stays in the journal, and is sent.
    - *Read*: about 1 MiB from the cursor on, from one segment, in windows, with ``pread`` (`segment` says why). Damage is skipped, up to the
      next frame with a valid checksum. Its bytes are copied to ``damaged/``, and missing sequences are counted.
    - *Acknowledge*: replace the cursor, then delete the segments before the one with the next record.
    - *Rewind*: after a request failed, read again from the first record that is not acknowledged.
    - *Give up*: if the outbox is full and the oldest records make room for new ones, the thread that appends calls
      `JournalReader.give_up_before`, so that they are not counted as damaged, and then deletes the oldest segment.
    - *Recover*: nothing is repaired at startup. Another process takes the lock of the orphan's folder, reads the cursor (0 if
      it is missing or damaged), opens the segment with the next sequence, reads and acknowledges as above, and deletes the
      folder when nothing is left. Reserved zeros, an unfinished frame and a file without a header are skipped.

What survives
    ==========================================  ==========================================================================
    failure                                     effect
    ==========================================  ==========================================================================
    the process is killed                       no loss: the bytes are the kernel's already
    the machine stops (power, kernel)           durable: no loss. Otherwise what the kernel had not written back is lost
    a kill between a response and the cursor    the records are sent once more, with the same `log.record.uid`
    the disk is full, or fails                  `append` raises `OSError`; the caller keeps the record in a `MemoryJournal`
    the cursor is lost                          all records that are still in the folder are sent once more
    bytes are flipped, cut off or inserted      the records hit are counted as damaged, their bytes saved in ``damaged/``
    a fork                                      the child closes the parent's files unchanged, and creates a folder of its own
    a later release wrote the segment           it is not touched, and an error is reported
    ==========================================  ==========================================================================

Threads and locks
    - `JournalWriter`: any thread, and signal handlers. Its locks are described in `writer` and `group_commit`.
    - `JournalReader`: one thread, the worker or the owner of an orphan. What other threads may do meanwhile is described in
      `reader`. Writer and reader share only files. The exception is the step *give up*, above, which takes the reader's lock
      while it holds the writer's.
    - `MemoryJournal`: any thread; one lock.

Known limits
    - Someone who truncates the last segment of a living process kills it (SIGBUS), if the process writes through a memory map
      before its worker notices: the map ends before its file. `unmapped` writes without a map, where the directory's file system
      or the setting demands it.
    - Two machines must not share a folder: they do not see each other's locks, nor a consistent memory map.
    - Records are not encrypted.
"""

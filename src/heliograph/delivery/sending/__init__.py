"""Sends the records of journals to a server, and decides what becomes of each record.

One thread sends: the worker of a processor, or the command line. It reads a batch of a journal, sends it as a request, and acts on the
server's response, until each record of the batch is acknowledged, is a dead letter, or waits for a later attempt.

- `sender`: sends the next batch of a journal; the rules are described there.
- `source`: the contract of the journals that records are sent from.
- `batch_pass`: one pass over a batch.
- `destination_state`: the state that all batches share, for they go to one server.
- `refusals`: decides if a refusal is the fault of the record or of the destination; `waiting_records` has the known facts
  about those that are not acknowledged yet.
- `backoff`, `schedule`: the times before which nothing is sent.
- `batch_size`, `smaller_records`: the size of batches that the server accepts, and smaller forms of a record that is too large.
- `orphans`: adopts the folders of processes that have died, to send their records.
"""

"""The outbox as a directory that many processes share: its folders, their owners, its size, and its dead letters.

A process writes into folders of its own, and adopts those of processes that have died. Here is everything that finds, creates,
locks and deletes a folder; what a folder has in it is in `heliograph.delivery.journal`.

- `folders`: the directory, and the folders in it.
- `folder_lock`: the lock that says which process owns a folder.
- `lost_folders`: gives up a folder of this process that somebody else has deleted, moved or changed.
- `space`: the size of the directory, and its limit.
- `dead_letters`: the records that the server refused for good, in SQLite; `requeue` puts them back into a folder.
- `state`: everything that waits in the directory, for people to look at.
"""

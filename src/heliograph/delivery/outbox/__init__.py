"""The outbox as a directory that many processes share: its folders, their owners, its size, and its dead letters.

A process writes into folders of its own, and adopts those of processes that have died. Everything that finds, creates, locks and deletes a
folder is here; what a folder has in it is in `heliograph.delivery.journal`. The directory also has the dead letters, the records that a server
has refused for good, and a limit of its size, which all processes keep together.
"""

"""Send the records of journals to a server, and decide what becomes of each record.

One thread sends: the worker of a processor, or the command line. It reads a batch of a journal, sends it as a request, and acts on the
server's response, until each record of the batch is acknowledged, is a dead letter, or waits for a later attempt. A journal of this process
and one of a process that has died are sent in the same way. All of them go to one server, so they share its state: when it may get the next
request, how large that may be, and whether the server refuses everything at present. `heliograph.delivery.sending.sender` has the rules.
"""

"""One pass over a batch of records: from its first request until all of its records are acknowledged, or wait.

`BatchPass.deliver` does steps 3 to 5 of `heliograph.delivery.sending.sender`. A method that has scheduled the next attempt raises `RecordsWait`,
which ends the pass: all records that are not acknowledged wait for that attempt.

Threads: the one that sends.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NoReturn

from typing_extensions import assert_never

from heliograph.delivery.journal.batch import Batch, Entry
from heliograph.delivery.sending.destination_state import DestinationState
from heliograph.delivery.sending.refusals import MAX_SUSPECTS
from heliograph.delivery.sending.smaller_records import smaller_records
from heliograph.delivery.sending.source import Source
from heliograph.delivery.transport.verdict import Action, Reason, Verdict
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import OUTBOX_DELIVERED, OUTBOX_REJECTED, SCOPE
from heliograph.values.text import counted

logger: Final = SafeLogger(SCOPE)


class RecordsWait(Exception):
    """The next attempt was scheduled, and the pass ends. `BatchPass.deliver` catches it."""


class BatchPass:
    """One pass over a batch: its records are sent together, or in smaller requests.

    Args:
        state: The state of the destination.
        source: The journal of the records.
        batch: The records, and their resource.
    """

    def __init__(self, state: DestinationState, source: Source, batch: Batch) -> None:
        self._state = state
        self._refusals = state.refusals
        self._source = source
        self._header = batch.header
        self._entries = batch.entries
        # The known facts about the records of the journal, from this pass and from those before it.
        self._waiting = state.refusals.waiting_records_of(source)
        # The sequence up to which all records are acknowledged.
        self._acknowledged = batch.entries[0].sequence - 1
        # Records that were refused alone and are not proven to be bad, in order, with their verdicts.
        self._suspects: list[tuple[Entry, Verdict]] = []
        # True if the destination accepted a record in this pass.
        self._has_accepted = False

    def deliver(self) -> bool:
        """Send the batch, in one request or in smaller ones. Return True if all of its records were acknowledged, False if some wait."""
        try:
            self._deliver_all()
        except RecordsWait:
            return False
        return True

    def _deliver_all(self) -> None:
        entries = self._entries
        if self._refusals.is_refusing:
            self._try_another(entries)
        # The next part comes last. There are at most as many as the batch can be halved: 12 for 4,096 records.
        parts = self._waiting.parts(entries)
        while parts:
            part = self._unfinished(parts.pop())
            if part:
                self._send_part(part, parts)
            self._settle_suspects(is_last=not parts)
            if not self._suspects:
                self._acknowledge(parts[-1][0].sequence - 1 if parts else entries[-1].sequence)

    def _send_part(self, entries: Sequence[Entry], parts: list[Sequence[Entry]]) -> None:
        """Send records in one request, and add its halves to the parts if it is refused."""
        verdict = self._send(entries)
        match verdict.action:
            case Action.DELIVERED | Action.PARTIAL:
                self._note_success(entries, verdict)
            case Action.SPLIT | Action.BAD_DATA:
                asks_to_wait = bool(verdict.retry_after_seconds)
                if verdict.action is Action.SPLIT or asks_to_wait:
                    self._state.batch_size.shrink(entries)
                if len(entries) == 1:
                    self._suspect(entries[0], verdict)
                elif asks_to_wait:
                    # After the wait, a smaller batch is sent.
                    self._wait(verdict)
                else:
                    half = len(entries) // 2
                    # For any other verdict, the next batches are smaller anyway.
                    if verdict.action is Action.BAD_DATA:
                        self._waiting.starts.add(entries[half].sequence)
                    parts += [entries[half:], entries[:half]]
            case Action.RETRY | Action.HOLD:
                # They differ for people (a server that is down, a wrong address), but the records wait in both cases.
                self._wait(verdict)
            case unknown:
                assert_never(unknown)

    def _suspect(self, entry: Entry, verdict: Verdict) -> None:
        """Make a record that was refused alone a suspect, or a dead letter if that proves it to be bad."""
        if verdict.action is Action.SPLIT and self._send_smaller(entry):
            return
        is_proven = self._refusals.note_refusal(self._waiting, entry, has_accepted=self._has_accepted, is_lone=False)
        if is_proven or self._refusals.note_too_large(verdict):
            self._put_to_dead_letters(entry, verdict)
        else:
            self._suspects.append((entry, verdict))

    def _send_smaller(self, entry: Entry) -> bool:
        """Send a record that is too large without a part of it. Return False if that is impossible, or is refused, too."""
        for smaller, lacking in smaller_records(self._header, entry, self._state.usual_limit_bytes):
            verdict = self._send([smaller])
            match verdict.action:
                case Action.DELIVERED | Action.PARTIAL:
                    message = "A span of %s was too large, and was sent without %s."
                    logger.warning(message, counted(len(entry.encoded), "byte"), counted(lacking, "event"))
                    self._note_success([entry], verdict)
                    return True
                case Action.RETRY | Action.HOLD:
                    self._wait(verdict)
                case Action.SPLIT | Action.BAD_DATA:
                    continue
                case unknown:
                    assert_never(unknown)
        return False

    def _settle_suspects(self, *, is_last: bool) -> None:
        """Try to prove that suspects are bad, if they are many or the last part was sent."""
        while True:
            is_many = len(self._suspects) >= MAX_SUSPECTS or self._refusals.has_spent()
            if not (is_many or (is_last and self._suspects)):
                return
            if self._has_accepted and not is_many:
                self._confirm_suspects()
                return
            # From the other end of the journal. If it is accepted, the suspects are sent once more.
            newest = self._source.newest(self._known())
            if newest is None:
                if not self._suspects:
                    return
                # Nothing else waits that could be compared.
                self._wait_refused(self._suspects[-1][1])
            self._try_alone(newest, is_lone=False)

    def _confirm_suspects(self) -> None:
        """Send each suspect once more. One that is refused again becomes a dead letter."""
        while self._suspects:
            entry, _ = self._suspects.pop(0)
            self._send_part([entry], [])

    def _try_another(self, entries: Sequence[Entry]) -> None:
        """Try one record at a destination that refused everything. Without a success, the other records wait."""
        # Another one each time: of the batch and the newest record, the one that was refused least often.
        candidates = list(self._unfinished(entries))
        newest = self._source.newest(self._waiting.done)
        if newest is not None and newest.sequence > entries[-1].sequence:
            candidates.append(newest)
        if candidates:
            is_lone = len(candidates) == 1 and self._refusals.is_lone(self._source)
            self._try_alone(self._waiting.least_refused(candidates), is_lone=is_lone)

    def _try_alone(self, entry: Entry, *, is_lone: bool) -> None:
        """Send one record out of order. Unless it is accepted, or proven to be bad, all records wait."""
        verdict = self._send([entry])
        match verdict.action:
            case Action.DELIVERED | Action.PARTIAL:
                self._waiting.done.add(entry.sequence)
                self._note_success([entry], verdict)
            case Action.SPLIT | Action.BAD_DATA:
                if self._refusals.note_refusal(self._waiting, entry, has_accepted=self._has_accepted, is_lone=is_lone):
                    self._put_to_dead_letters(entry, verdict)
                else:
                    self._wait_refused(verdict)
            case Action.RETRY | Action.HOLD:
                self._wait(verdict)
            case unknown:
                assert_never(unknown)

    def _wait(self, verdict: Verdict) -> NoReturn:
        """Schedule the next attempt, and end the pass.

        Raises:
            RecordsWait: Always.
        """
        self._state.schedule_retry(verdict)
        raise RecordsWait

    def _wait_refused(self, verdict: Verdict) -> NoReturn:
        """Schedule the next attempt at a destination that refuses everything, and end the pass.

        Raises:
            RecordsWait: Always.
        """
        self._refusals.note_refuses_everything(self._source)
        self._wait(replace(verdict, message=f"the destination refuses everything: {verdict.message}"))

    def _note_success(self, entries: Sequence[Entry], verdict: Verdict) -> None:
        """Count a success, and send the suspects once more, because the destination works."""
        # A server may report more rejected records than the request contained; a counter must not go down.
        count, rejected = len(entries), min(verdict.rejected, len(entries))
        self._state.counts.add(OUTBOX_DELIVERED, count - rejected)
        self._state.count_loss(OUTBOX_REJECTED, rejected, Reason.PARTIAL_SUCCESS, is_own=self._source.is_own)
        if rejected:
            logger.error(
                "The server rejected %d of %s: %s", rejected, counted(count, self._state.signal.word), verdict.message
            )
        self._state.note_working()
        if self._suspects:
            # They are done, although records before them wait.
            self._waiting.done.update(entry.sequence for entry in entries)
        if rejected == count:
            self._refusals.note_processed()
            return
        self._has_accepted = True
        self._refusals.note_accepted()
        self._confirm_suspects()

    def _send(self, entries: Sequence[Entry]) -> Verdict:
        return self._state.send(self._header, entries)

    def _put_to_dead_letters(self, entry: Entry, verdict: Verdict) -> None:
        """Write a record to the dead letters. If that fails, all records wait."""
        if not self._state.put_to_dead_letters(self._source, self._header, entry, verdict):
            self._wait(verdict)
        self._waiting.done.add(entry.sequence)

    def _acknowledge(self, sequence: int) -> None:
        """Acknowledge all records up to a sequence, if some of them are not acknowledged yet."""
        if sequence <= self._acknowledged:
            return
        self._acknowledged = sequence
        self._waiting.forget_until(sequence)
        try:
            self._source.acknowledge(sequence)
        except OSError as error:
            # Continue: the records are delivered. Only the cursor on disk is old, so after a restart of the process they
            # would be sent a second time.
            message = "The outbox could not save what was delivered, and may send it again: %s"
            self._state.log.log("cursor", message, error, level=logging.WARNING)

    def _unfinished(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Return the records that are neither delivered nor dead letters."""
        done = self._waiting.done
        return [entry for entry in entries if entry.sequence not in done] if done else entries

    def _known(self) -> set[int]:
        """Return the sequences of the records that prove nothing: those that are done, and the suspects."""
        return self._waiting.done | {entry.sequence for entry, _ in self._suspects}

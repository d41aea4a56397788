"""A terminal's verbs, and the journal of what it knows to have happened."""

from __future__ import annotations

import msgspec

from kabao_sandbox.tills.line import SilenceError
from kabao_sandbox.tills.model import Account, Card, Entry, Totals
from kabao_sandbox.tills.mouth import SIGN_IN, TRIES, UNSURE, Answer, Fields, Mouth
from kabao_sandbox.tills.wire import pin_block

CNY = "156"
NO_CARD = "0" * 16
"""What stands for the card in the PIN block of a person."""
SALE = "000000"
TIMED_OUT = "98"
NOT_EVEN = "95"
STANDS = "22"
"""Too late to be reversed: a load that is spent."""
OFF, ONTO = -1, 1
LINES_A_MESSAGE = 8
AGAIN = 0.5
"""How often a cashier asks again what became of a sale, and does not give up."""


class Made(msgspec.Struct, frozen=True):
    """Something that was approved, and can be undone."""

    fields: Fields
    entry: Entry
    rrn: str


class Terminal:
    """One batch of one terminal."""

    def __init__(self, mouth: Mouth) -> None:
        self._mouth, self.till = mouth, mouth.till
        self.journal: list[Entry] = []

    # --- money ------------------------------------------------------------------------------

    async def inquire(self, card: Card) -> None:
        """Ask what is on a card."""
        fields = self._asked("01", "310000") | self._shown(card)
        await self._mouth.until_heard("0200", fields)

    async def buy(self, card: Card, amount_fen: int) -> Made | None:
        """Sell something on a card; None if it was declined or given up."""
        fields = self._asked("22", SALE, amount_fen) | self._shown(card)
        mouth = self._mouth
        if not mouth.faults.draw_reversal(mouth.chance):
            return await self._heard_or_undone("sales", OFF, fields)
        self.till.faults["reversal_first"] += 1
        await self._reverse(fields)
        if (await mouth.until_heard("0200", fields)).is_ok:
            mouth.defect(f"sale {fields[11]!r} was approved after its reversal")
        return None

    async def load(self, card: Card, amount_fen: int) -> Made | None:
        """Put cash onto a card."""
        fields = self._asked("46", "630000", amount_fen) | self._shown(card)
        return await self._heard_or_undone("loads", ONTO, fields)

    async def void(self, sale: Made) -> None:
        """Undo a sale of this batch."""
        fields = self._asked("23", "200000", sale.entry.amount_fen) | self._about(sale)
        await self._done("voids", "0200", ONTO, fields)

    async def refund(self, sale: Made, amount_fen: int) -> None:
        """Give back some of a sale."""
        fields = self._asked("25", "200000", amount_fen) | {22: "0120", 37: sale.rrn}
        await self._done("refunds", "0220", ONTO, fields)

    async def walk_away(self, made: Made) -> None:
        """The customer leaves while the slip is printed: as if it had never been."""
        await self._reverse(made.fields)
        self.journal.remove(made.entry)

    # --- cards ------------------------------------------------------------------------------

    async def sell(self, cards: list[Card], amount_fen: int) -> Made | None:
        """Activate cards in a row for cash."""
        fields = self._asked("72", "720000", amount_fen)
        fields |= {2: cards[0].number, 22: "0120", 62: f"CA{len(cards):03}".encode()}
        return await self._heard_or_undone("cards sold", ONTO, fields)

    async def unsell(self, sold: Made, by: Account) -> None:
        """Take unused cards back, and give the money back; the supervisor allows it."""
        fields = self._asked("72", "740000", sold.entry.amount_fen) | self._about(sold)
        block = pin_block(self._mouth.pin_key, by.supervisor_pin, NO_CARD)
        fields |= {2: sold.fields[2], 62: block, 63: by.supervisor.encode()}
        await self._done("sales of cards undone", "0200", OFF, fields)

    async def take_back(self, card: Card) -> None:
        """An empty card is handed in."""
        fields = self._asked("76", "760000") | self._shown(card)
        if (await self._mouth.until_heard("0200", fields)).is_ok:
            self.till.done["cards taken back"] += 1

    # --- the end ----------------------------------------------------------------------------

    async def settle(self, *, bent: bool) -> None:
        """Settle the batch; with totals that are made wrong it has to be uploaded first."""
        claimed = self._bent() if bent else self.journal
        self.till.totals, self.till.bent = Totals.of(self.journal), bent
        answer = await self._settling("0500", "201", _claim(Totals.of(claimed)))
        if bent and answer.code == NOT_EVEN:
            await self._upload(claimed)
            answer = await self._settling("0320", "207", None)
        elif bent:
            self._mouth.defect(f"wrong totals were answered {answer.code}")
        if not answer.is_ok:
            self._mouth.defect(f"the batch was answered {answer.code}")
        elif answer.totals[:30] != _claim(self.till.totals)[:30]:
            self._mouth.defect(f"the host has {answer.totals[:30]}, the till {self.till.totals}")
        else:
            self.till.settled = True

    async def _upload(self, lines: list[Entry]) -> None:
        for at in range(0, len(lines), LINES_A_MESSAGE):
            part = lines[at : at + LINES_A_MESSAGE]
            text = "".join(_uploaded(line) for line in part)
            answer = await self._settling("0320", "201", f"{len(part):02}{text}")
            if not answer.is_ok:
                self._mouth.defect(f"an upload was answered {answer.code}")

    async def _settling(self, mti: str, function: str, text: str | None) -> Answer:
        fields = self._mouth.common("00", function)
        if text is not None:
            fields |= {48: text, 49: CNY}
        return await self._mouth.until_heard(mti, fields)

    def _bent(self) -> list[Entry]:
        """A journal that has lost a line, has a wrong one, or one that never was."""
        chance, lines = self._mouth.chance, list(self.journal)
        how = chance.choice(["lost", "wrong", "added"]) if lines else "added"
        if how == "added":
            return [*lines, Entry(OFF, "999999", 1)]
        at = chance.randrange(len(lines))
        line = lines.pop(at)
        if how == "wrong":
            lines.insert(at, msgspec.structs.replace(line, amount_fen=line.amount_fen + 1))
        return lines

    # --- saying it --------------------------------------------------------------------------

    async def _heard_or_undone(self, verb: str, direction: int, fields: Fields) -> Made | None:
        """Money moves if it is heard; else it is asked for again, or reversed."""
        mouth = self._mouth
        for _ in range(TRIES):
            try:
                answer = await mouth.say("0200", fields)
            except SilenceError:
                if mouth.chance.random() < AGAIN:
                    self.till.done["asked again"] += 1
                    continue
                break
            if answer.code == SIGN_IN:
                await mouth.sign_in()
            elif answer.code not in UNSURE:
                return self._made(verb, direction, fields, answer)
        if await self._reverse(fields):
            return None
        answer = await mouth.until_heard("0200", fields)
        return self._made(verb, direction, fields, answer)

    def _made(self, verb: str, direction: int, fields: Fields, answer: Answer) -> Made | None:
        if not answer.is_ok:
            return None
        if answer.amount_fen != int(fields[4]):
            self._mouth.defect(f"{fields[4]!r} was asked for, {answer.amount_fen} approved")
        entry = Entry(direction, str(fields[11]), answer.amount_fen)
        self.journal.append(entry)
        self.till.done[verb] += 1
        return Made(fields, entry, answer.rrn)

    async def _done(self, verb: str, mti: str, direction: int, fields: Fields) -> None:
        """What is only ever asked for again: it cannot be reversed."""
        answer = await self._mouth.until_heard(mti, fields)
        self._made(verb, direction, fields, answer)

    async def _reverse(self, fields: Fields) -> bool:
        """Undo a message, whether it came or not (MF-10); False if it stands all the same."""
        same = {number: fields[number] for number in (3, 4, 11, 25, 41, 42, 49)}
        same |= {39: TIMED_OUT, 60: f"22{self._mouth.batch}000"}
        answer = await self._mouth.until_heard("0400", same)
        if answer.code == STANDS and fields[3] != SALE:
            return False
        self.till.done["reversals"] += 1
        if not answer.is_ok:
            self._mouth.defect(f"the reversal of {fields[11]!r} was answered {answer.code}")
        return True

    def _asked(self, kind: str, processing: str, amount_fen: int | None = None) -> Fields:
        fields = self._mouth.common(kind) | {3: processing, 25: "00", 49: CNY}
        return fields if amount_fen is None else fields | {4: f"{amount_fen:012}"}

    def _about(self, made: Made) -> Fields:
        """Which earlier message is meant."""
        return {22: "0120", 61: f"{self._mouth.batch}{made.entry.trace}"}

    def _shown(self, card: Card) -> Fields:
        """A card, read in one of the ways it can be."""
        ways = [way for way in (card.barcode, card.track2, card.pin and card.number) if way]
        way = self._mouth.chance.choice(ways)
        if way == card.barcode:
            return {22: "0320", 59: way}
        fields: Fields = {2: way, 22: "0110"}
        if way == card.track2:
            fields = {35: way.replace("=", "D"), 22: "0210"}
        if card.pin:
            block = pin_block(self._mouth.pin_key, card.pin, card.number)
            fields |= {26: "12", 52: block}
        return fields


def _claim(totals: Totals) -> str:
    """Field 48 of a settlement (MF-08): these sums, and nothing foreign."""
    return (
        f"{totals.debit_fen:012}{totals.debit_count:03}"
        f"{totals.credit_fen:012}{totals.credit_count:03}0" + "0" * 31
    )


def _uploaded(entry: Entry) -> str:
    """A line of a batch upload (MF-09): kind, trace, no card, amount."""
    kind = "01" if entry.direction > 0 else "00"
    return f"{kind}{entry.trace}{0:020}{entry.amount_fen:012}"

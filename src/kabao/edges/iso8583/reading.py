"""From fields to what a till asks for, and from a reply to fields: a dialect at work."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

import msgspec

from kabao.base.clock import US_PER_S, from_us
from kabao.edges.iso8583.codec import PLANS_MAX, Codec
from kabao.edges.iso8583.model import Fields, FormatError, Outcome, Reply, Totals, Value, Verb
from kabao.edges.iso8583.spec import SUMS, Dialect, Entry, Kind, Part, Shape, Words

SHANGHAI = ZoneInfo("Asia/Shanghai")

_AVAILABLE = "02"
"""Amount type of field 54: what may be spent."""


class Message:
    """A message of a dialect. Parts are empty where their field is missing."""

    __slots__ = (
        "_dialect", "_parts", "amount_fen", "batch", "fields", "mac", "mti", "signed", "trace",
        "verb",
    )  # fmt: skip

    def __init__(self, dialect: Dialect, mti: str, fields: Fields, verb: Verb | None) -> None:
        self._dialect, self._parts, self.mti, self.fields = dialect, dialect.parts, mti, fields
        self.verb = verb
        self.trace = number(self.part("trace"))
        self.batch = number(self.part("batch"))
        self.amount_fen = number(self.part("amount"))
        """Number of the message, of its batch, and its amount; 0 where there is none."""
        self.signed = b""
        self.mac = b""
        """What the MAC covers, and the MAC."""

    def part(self, name: str) -> str:
        """A named part as text; empty where it is missing or binary."""
        return part(self._parts, self.fields, name)

    def raw(self, name: str) -> bytes:
        """A binary part; empty where it is missing."""
        place = self._parts.get(name)
        value = self.fields.get(place[0]) if place is not None else None
        return value if isinstance(value, bytes) else b""

    @property
    def lines(self) -> str:
        """What a till uploads of its batch, as digits."""
        return self.part("lines") or self.raw("lines").decode("ascii", "ignore")

    @property
    def claimed(self) -> Totals | None:
        """The sums a till claims; None if they are not written as they should be."""
        return read_totals(self._dialect.totals, self.part("totals"))

    @property
    def numbers(self) -> tuple[str, str]:
        """Terminal number and merchant number."""
        return self.part("terminal_no"), self.part("merchant_no").rstrip()

    @property
    def entry(self) -> Entry:
        """How the till came by the card."""
        return self._dialect.entry_modes.get(self.part("entry_mode"), Entry.UNKNOWN)

    @property
    def currency(self) -> str | None:
        """ISO 4217 letters; `CNY` where the dialect sends none, None for an unknown one."""
        said = self.part("currency")
        return self._dialect.currencies.get(said) if said else "CNY"


class Reader:
    """One dialect: what its messages mean."""

    def __init__(
        self, dialect: Dialect, words: Mapping[Outcome, Words], zone: ZoneInfo = SHANGHAI
    ) -> None:
        self.dialect, self._words, self._zone = dialect, words, zone
        self._stamped: Fields = {}
        self._stamped_s = -1
        self.codec, self.batch_max = Codec(dialect), dialect.batch_max
        self._shapes: dict[str, list[Shape]] = {}
        self._telling = tuple(sorted({name for s in dialect.messages for name in s.when}))
        self._verbs: dict[tuple[str, ...], Verb | None] = {}
        for shape in dialect.messages:
            self._shapes.setdefault(shape.mti, []).append(shape)

    def read(self, data: bytes, at: int) -> Message:
        """A message that begins at `at`. Raises FormatError."""
        decoded = self.codec.decode(data, at)
        fields, parts = decoded.fields, self.dialect.parts
        told = (decoded.mti, *[part(parts, fields, name) for name in self._telling])
        verb = self._verbs.get(told)
        if verb is None:
            verb = self._verb(told)
        message = Message(self.dialect, decoded.mti, fields, verb)
        if decoded.mac_at is not None:
            message.signed, message.mac = data[at : decoded.mac_at], data[decoded.mac_at :]
        return message

    def _verb(self, told: tuple[str, ...]) -> Verb | None:
        """The verb of a message by what tells it; None for one we do not know."""
        mti, said = told[0], dict(zip(self._telling, told[1:], strict=True))
        shapes = self._shapes.get(mti)
        if shapes is None and (int(mti[2]) & 1 or mti[3] != "0"):
            raise FormatError(f"{mti} is no request")
        for shape in shapes or ():
            if all(said[name].startswith(begin) for name, begin in shape.when.items()):
                if len(self._verbs) < PLANS_MAX:
                    self._verbs[told] = shape.verb
                return shape.verb
        return None

    # --- writing ----------------------------------------------------------------------------

    def write(self, message: Message, reply: Reply, now_us: int, *, mac: bool) -> bytes:
        """The answer to a message, up to its MAC, which is announced if there is to be one."""
        form = self.dialect.reply
        fields: Fields = {n: message.fields[n] for n in form.echo if n in message.fields}
        fields[form.result] = self.dialect.results[reply.outcome]
        fields |= self._stamps(now_us)
        self._amounts(fields, reply)
        if reply.rrn is not None:
            fields[form.rrn] = reply.rrn
        if reply.approval is not None:
            fields[form.approval] = reply.approval
        if reply.totals is not None:
            even = reply.outcome is Outcome.OK
            fields[form.totals] = show_totals(self.dialect.totals, reply.totals, even=even)
        if reply.private is not None:
            fields[form.private] = self._as_kind(form.private, reply.private)
        if reply.keys is not None:
            fields[form.private] = reply.keys
        if (kind := self._kind(message, reply)) is not None:
            fields[form.kind] = kind
        if reply.outcome is not Outcome.OK:
            fields[form.words] = self.say(reply)
        return self.codec.encode(answer_mti(message.mti), fields, mac=mac)

    def _stamps(self, now_us: int) -> Fields:
        """The fields of time and date, made once a second."""
        second = now_us // US_PER_S
        if second != self._stamped_s:
            form, at = self.dialect.reply, from_us(now_us).astimezone(self._zone)
            stamps = (form.local_time, form.local_date, form.settlement_date)
            self._stamped = {s[0]: at.strftime(s[1]) for s in stamps if s is not None}
            self._stamped_s = second
        return self._stamped

    def refuse(self, mti: str) -> bytes:
        """The answer to what cannot be read: a format error, and nothing else."""
        code = self.dialect.results[Outcome.FORMAT_ERROR]
        return self.codec.encode(answer_mti(mti), {self.dialect.reply.result: code})

    def say(self, reply: Reply) -> str:
        """Display code, next step, PIN tries left and text, for screen and voice (X-10)."""
        words = self._words[reply.outcome]
        tries = "" if reply.tries_left is None else str(reply.tries_left)
        return self.dialect.reply.words_form.format(
            display=words.display, step=words.step, tries=tries, text=words.text
        )

    def _amounts(self, fields: Fields, reply: Reply) -> None:
        form = self.dialect.reply
        if reply.amount_fen is not None:
            number, layout = form.amount
            fields[number] = layout.format(amount=reply.amount_fen)
        if reply.available_fen is not None:
            number, layout = form.balance
            fields[number] = layout.format(type=_AVAILABLE, amount=reply.available_fen)

    def _kind(self, message: Message, reply: Reply) -> Value | None:
        """The field of message kind and batch, with the batch that a sign-in opens."""
        form = self.dialect.reply
        said = message.fields.get(form.kind)
        if reply.batch is None or not isinstance(said, str):
            return said
        _, first, count = self.dialect.parts["batch"]
        filled = said.ljust(first + count, "0")
        return f"{filled[:first]}{reply.batch:0{count}d}{filled[first + count :]}"

    def _as_kind(self, field: int, text: str) -> Value:
        if self.dialect.fields[field].kind is Kind.BINARY:
            return text.encode("ascii")
        return text


_Sums = tuple[tuple[Part, int], ...]


def show_totals(layout: _Sums, totals: Totals, *, even: bool) -> str:
    """A batch's sums as a dialect writes them. What is more than the digits can say is
    shown as their most: such a batch is never even, and settled by uploading it.
    """
    said = msgspec.structs.asdict(totals) | {"result": 1 if even else 2, "nothing": 0, "even": 1}
    return "".join(f"{min(said[part], 10**digits - 1):0{digits}d}" for part, digits in layout)


def read_totals(layout: _Sums, text: str) -> Totals | None:
    """What a till claims; None if it is not written as it should be."""
    said, at = dict.fromkeys(SUMS, ""), 0
    for name, digits in layout:
        if name in SUMS:
            said[name] = text[at : at + digits]
            if len(said[name]) != digits:
                return None
        at += digits
    if not text.isdecimal():
        return None
    return Totals(**{name: int(digits) for name, digits in said.items()})


def part(places: Mapping[str, tuple[int, int, int]], fields: Fields, name: str) -> str:
    """A named part as text; empty where it is missing or binary."""
    place = places.get(name)
    if place is None:
        return ""
    at, first, count = place
    value = fields.get(at)
    if not isinstance(value, str):
        return ""
    return value[first : first + count] if count else value[first:]


def number(digits: str) -> int:
    """Digits as a number; 0 for none, and for what are no digits."""
    return int(digits) if digits.isdecimal() else 0


def answer_mti(mti: str) -> str:
    """0200 to 0210, 2804 to 2814: what comes from the host."""
    return f"{mti[:2]}{(int(mti[2]) + 1) % 10}{mti[3]}"


def head_of_reply(dialect: Dialect, head: bytes) -> bytes:
    """TPDU with its addresses swapped, header as it came (MF-01)."""
    if not dialect.frame.tpdu:
        return head
    return head[:1] + head[3:5] + head[1:3] + head[5:]

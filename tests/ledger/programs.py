"""Random programs of everything that can happen to a few cards, and their players."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import note
from hypothesis import strategies as st

from kabao.base.clock import BusinessDays, FixedClock
from kabao.cards.model import Proof
from kabao.ledger.model import Account, Act, Decision, Lot, Moment, Move, Purpose, Root, RootState
from kabao.payments.after import Refunded, Reversed
from kabao.payments.model import Limits, Payment
from kabao.policy.choices import RefundOrder, SpendOrder
from kabao.topups.model import TopUp
from tests.ledger import make
from tests.ledger.memory import code_of
from tests.ledger.model import MINUTE, Model, Rules
from tests.ledger.story import Stage
from tests.ledger.till import LIMITS, Till

CARDS = 3


class Step(msgspec.Struct, frozen=True):
    """One thing to do. `which` picks among what is there by then."""

    verb: str
    card: int = 0
    fen: int = 1
    which: int = 0
    flag: bool = False


class Program(msgspec.Struct, frozen=True):
    """Batches of steps, and the rules they are played under."""

    batches: list[list[Step]]
    spend: SpendOrder
    refund: RefundOrder


HOT = ["load", "pay", "partial", "wrong", "hold", "capture", "void", "refund", "reverse", "expire"]
COLD = ["give", "send", "early", "again", "unload", "freeze", "thaw", "wait"]
OFTEN = ["pay", "hold", "capture", "refund"] * 4 + ["load", "void", "reverse", "wait", "thaw"] * 2

_step = st.builds(
    Step,
    st.sampled_from(HOT + COLD + OFTEN),
    card=st.integers(0, CARDS - 1),
    # Few and round, so that sums meet the limits to the fen.
    fen=st.sampled_from([1, 50, 99, 100, 101, 150, 200, 300, 400, 499, 500, 501]),
    which=st.integers(0, 30),
    flag=st.booleans(),
)

_START = [
    [Step("load", card, 500) for card in range(CARDS)],
    [Step("give", card, 150) for card in range(CARDS)],
]


def _program(steps: list[Step], size: int, spend: SpendOrder, refund: RefundOrder) -> Program:
    batches = [steps[n : n + size] for n in range(0, len(steps), size)]
    return Program(_START + batches, spend, refund)


PROGRAMS = st.builds(
    _program,
    st.lists(_step, min_size=20, max_size=50),
    st.integers(1, 6),
    st.sampled_from(SpendOrder),
    st.sampled_from(RefundOrder),
)


def limits_for(program: Program) -> Limits:
    """Tight, so that programs run into them."""
    return msgspec.structs.replace(
        LIMITS,
        single_fen=500,
        day_count=5,
        day_sum_fen=1_000,
        hold_us=30 * MINUTE,
        reversal_us=60 * MINUTE,
        pin_tries=3,
        pin_lock_us=30 * MINUTE,
        balance_limit_fen=700,
        spend_order=program.spend,
        refund_order=program.refund,
    )


def seen(payment: Payment) -> tuple[Any, ...]:
    return (
        str(payment.status),
        payment.approved_fen,
        payment.captured_fen,
        payment.refunded_fen,
        payment.held_fen,
        payment.balance_after_fen,
    )


def told(outcome: Any) -> tuple[Any, ...]:
    """An outcome of the platform in the model's words."""
    match outcome:
        case Payment() if outcome.status == "declined":
            return ("declined", str(outcome.decline_code), outcome.balance_after_fen)
        case Payment():
            return ("paid", *seen(outcome))
        case Refunded():
            refund = outcome.refund
            parts = (refund.principal_fen, refund.bonus_fen)
            return ("refunded", refund.destination, *parts, *seen(outcome.payment))
        case Reversed() if outcome.payment is not None:
            return ("reversed", outcome.reversal.amount_fen, *seen(outcome.payment))
        case TopUp():
            word = "loaded" if outcome.status == "confirmed" else "unloaded"
            return (word, outcome.balance_after_fen)
    return ("refused", code_of(outcome))


class Issued(msgspec.Struct):
    """A command that went out, what the model said, and what came back."""

    step: Step
    command: Any
    expected: tuple[Any, ...]
    found: tuple[Any, ...] = ()


class Play:
    """Plays a program on the platform and on the model, side by side."""

    def __init__(self, stage: Stage, clock: FixedClock, program: Program, roots: Sequence[Root]):
        self.stage, self.clock, self.program = stage, clock, program
        self.limits = limits_for(program)
        self.roots = list(roots)
        self.till = Till(roots[0].issuer, make.STORE, make.IDS, self.limits)
        self.model = Model(
            Rules(
                self.limits.single_fen,
                self.limits.day_count,
                self.limits.day_sum_fen,
                self.limits.hold_us,
                self.limits.reversal_us,
                self.limits.pin_tries,
                self.limits.pin_lock_us,
                self.limits.balance_limit_fen,
                program.spend,
                program.refund,
            ),
            CARDS,
            clock.now_us(),
        )
        self._pending: list[Issued] = []
        self._issued: list[Issued] = []
        self.payments: list[str] = []
        """By sale number: the payment's id."""
        self._topups: list[TopUp] = []

    async def run(self) -> None:
        for batch in self.program.batches:
            note(f"{batch}, {self.program.spend}, {self.program.refund}")
            for step in batch:
                await self._step(step)
            await self._flush()
            await self.compare()

    async def compare(self) -> None:
        """Every card holds on the platform what it holds in the model."""
        for number, root in enumerate(self.roots):
            now, card = await self.stage.root(root.id), self.model.cards[number]
            free = [now.principal_fen, now.bonus_fen]
            held = [now.principal_held_fen, now.bonus_held_fen]
            assert (free, held) == (card.free, card.held)
            assert (now.pin_tries, now.state == RootState.FROZEN) == (card.tries, card.frozen)

    async def _flush(self) -> None:
        """One batch, and what must come of it."""
        batch, self._pending = self._pending, []
        outcomes = await self.stage.post_batch([one.command for one in batch])
        for one, outcome in zip(batch, outcomes, strict=True):
            one.found = told(outcome)
            said = f"{one.step}: {one.found}, the model says {one.expected}"
            assert one.found == one.expected, said
            if isinstance(outcome, TopUp) and one.step.verb == "load":
                self._topups.append(outcome)
        self._issued += batch

    async def _step(self, step: Step) -> None:
        if step.verb in HOT:
            await self._hot(step)
        else:
            await self._flush()
            await getattr(self, f"_{step.verb}")(step)

    async def _hot(self, step: Step) -> None:
        model, till = self.model, self.till
        root = await self.stage.root(self.roots[step.card].id)
        match step.verb:
            case "load":
                today = BusinessDays().of(self.clock.now_us())
                command: Any = till.load(root, step.fen, today, proof=Proof.SCOPE)
                expected = model.load(step.card, step.fen)
            case "pay" | "hold" | "partial" | "wrong":
                partial, hold = step.verb == "partial", step.verb == "hold"
                proof = Proof.WRONG if step.verb == "wrong" else Proof.RIGHT
                command = till.pay(root, step.fen, hold=hold, partial=partial, proof=proof)
                wrong = proof == Proof.WRONG
                expected = model.pay(step.card, step.fen, hold=hold, partial=partial, wrong=wrong)
                self.payments.append(command.operation)
            case verb:
                await self._on_sale(step, verb)
                return
        self._pending.append(Issued(step, command, expected))

    async def _on_sale(self, step: Step, verb: str) -> None:
        """A later verb. Only what was answered can be named."""
        model, till = self.model, self.till
        answered = len(self.payments) - sum(
            one.step.verb in {"pay", "hold", "partial", "wrong"} for one in self._pending
        )
        declined_too = step.flag and verb != "expire"  # which is for holds alone
        known = [n for n in range(answered) if declined_too or model.sales[n].approved]
        if not known:
            return
        number = known[-1 - step.which % len(known)]
        payment = await self.stage.payment(self.payments[number])
        fen = None if step.which % 5 == 0 else step.fen
        match verb:
            case "capture":
                command: Any = till.capture(payment, fen, final=step.flag)
                expected = model.capture(number, fen, final=step.flag)
            case "refund":
                command, expected = till.refund(payment, fen), model.refund(number, fen)
            case "void":
                command, expected = till.void(payment), model.void(number)
            case "reverse":
                command, expected = till.reverse(payment), model.reverse(number)
            case "expire":
                command, expected = till.expire(payment), model.expire(number)
        self._pending.append(Issued(step, command, expected))

    # What is done by itself

    async def _again(self, step: Step) -> None:
        """The same request once more: the first answer, whatever has happened since."""
        kept = [one for one in self._issued if one.found[0] != "refused"]
        kept = [one for one in kept if one.step.verb != "expire"]
        if kept:
            one = kept[step.which % len(kept)]
            (outcome,) = await self.stage.post_batch([one.command])
            assert told(outcome) == one.found

    async def _early(self, step: Step) -> None:
        """A reversal before its payment, which is refused then and ever after."""
        root = await self.stage.root(self.roots[step.card].id)
        command = self.till.pay(root, step.fen)
        await self.stage.bar(command.company, command.key, make.IDS.new())
        for _ in range(2):
            (outcome,) = await self.stage.post_batch([command])
            assert told(outcome) == ("declined", "reversed_before", None)

    async def _give(self, step: Step) -> None:
        move = Move(Account.BONUS_COST, Account.BONUS, step.fen, Purpose.BONUS, self.till.company)
        lot = (0, step.fen)
        await self.stage.post_in([self._act(step.card, move, lot)])
        self.model.give(step.card, step.fen)

    async def _send(self, step: Step) -> None:
        target = (step.card + 1 + step.which % (CARDS - 1)) % CARDS
        if not self.model.send(step.card, target, step.fen):
            return
        house = self.till.company
        out = self._act(
            step.card, Move(Account.PRINCIPAL, Account.TRANSIT, step.fen, Purpose.TRANSFER, house)
        )
        move = Move(
            Account.TRANSIT, Account.PRINCIPAL, step.fen, Purpose.TRANSFER, house, out.operation
        )
        await self.stage.post_in([out, self._act(target, move, (step.fen, 0))])

    async def _unload(self, step: Step) -> None:
        if self._topups:
            number = step.which % len(self._topups)
            today = BusinessDays().of(self.clock.now_us())
            command = self.till.unload(self._topups[number], today)
            expected = self.model.unload(number)
            self._pending.append(Issued(step, command, expected))
            await self._flush()

    async def _freeze(self, step: Step) -> None:
        await self._set(step.card, RootState.FROZEN)

    async def _thaw(self, step: Step) -> None:
        await self._set(step.card, RootState.ACTIVE)

    async def _set(self, card: int, state: RootState) -> None:
        act = self._act(card, None, state=state)
        await self.stage.post_in([act])
        self.model.cards[card].frozen = state == RootState.FROZEN

    async def _wait(self, step: Step) -> None:
        minutes = [1, 30, 30, 60, 1_440][step.which % 5]
        self.clock.advance(timedelta(minutes=minutes))
        self.model.now += minutes * MINUTE

    def _act(
        self,
        card: int,
        move: Move | None,
        lot: tuple[int, int] | None = None,
        state: RootState | None = None,
    ) -> Act:
        def run(found: Root | None, moment: Moment) -> Decision:
            brought = None
            if lot is not None:
                brought = Lot(*lot, lot[0], moment.day, make.STORE, self.till.company, "test")
            return Decision(
                result={},
                moves=(move,) if move is not None else (),
                lot=brought,
                set={"state": state} if state is not None else None,
            )

        root = self.roots[card].id
        return Act(company=self.till.company, operation=make.IDS.new(), root=root, run=run)

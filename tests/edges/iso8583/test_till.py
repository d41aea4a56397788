"""A till's verbs through a socket, told apart by what the books say afterwards."""

from __future__ import annotations

import asyncio

import pytest

from .conftest import Pos
from .till import Till, pack, pin_block


@pytest.mark.row("P-07", "P-09", "P-10")
@pytest.mark.parametrize("how", ["typed", "track", "chip", "barcode"])
async def test_a_card_is_read_and_pays(pos: Pos, how: str) -> None:
    till, card = await pos.till(), await pos.card(10_000)
    asked = await till.inquire(card, how=how)
    assert (asked.code, asked.available) == ("00", 10_000)
    assert asked.fields[62][:1] == b"A"
    paid = await till.buy(card, 1_234, how=how)
    assert (paid.mti, paid.code, paid.amount, paid.available) == ("0210", "00", 1_234, 8_766)
    assert await pos.actors.balance(card) == (8_766, 8_766)
    assert len(paid.rrn) == 12
    assert pos.host.desk.meters.reads.of(how, "purchase", "ok") == 1


@pytest.mark.row("P-16", "X-10")
async def test_too_little_money_is_el2_with_what_there_is(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(500)
    short = await till.buy(card, 501)
    assert (short.code, short.available) == ("51", 500)
    assert short.words == ("EL2", "SPL", "", "余额不足，可组合支付或充值")


async def test_the_same_trace_is_one_payment(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    first = await till.buy(card, 100, trace="000777")
    again = await till.buy(card, 100, trace="000777")
    assert again.fields == first.fields
    other = await till.buy(card, 200, trace="000777")
    assert other.code == "94"
    assert await pos.actors.balance(card) == (900, 900)


async def test_twenty_at_once_on_one_connection(pos: Pos) -> None:
    till = await pos.till()
    cards = [await pos.card(1_000) for _ in range(4)]
    answers = await asyncio.gather(*(till.buy(cards[n % 4], 10) for n in range(20)))
    assert {a.code for a in answers} == {"00"}
    assert [await pos.actors.balance(c) for c in cards] == [(950, 950)] * 4


@pytest.mark.row("P-19")
async def test_a_wrong_mac_posts_nothing(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    message = till.signed(*till.sale(card, 100))
    spoilt = message[:-1] + bytes([message[-1] ^ 1])
    assert (await till.exchange(spoilt)).code == "A0"
    mti, fields = till.sale(card, 100)
    assert (await till.exchange(pack(mti, fields))).code == "A0"
    assert await pos.actors.balance(card) == (1_000, 1_000)


async def test_unknown_and_signed_off_terminals_are_sent_to_sign_in(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    assert (await till.echo()).code == "00"
    assert (await till.sign_off()).code == "00"
    refused = await till.buy(card, 100)
    assert (refused.code, refused.words[1]) == ("77", "SGN")
    assert (await till.sign_in()).code == "00"
    assert (await till.buy(card, 100)).code == "00"
    stranger = pos.raw("99999999", till.merchant_no, till.tmk)
    await stranger.connect()
    assert (await stranger.sign_in()).code == "03"
    stranger.pik = stranger.mak = bytes(8)
    assert (await stranger.buy(card, 1)).code == "77"


async def test_a_sign_in_that_proves_nothing_takes_no_keys_away(pos: Pos) -> None:
    """Whoever knows a terminal's number may ask for keys; the till that has some goes on."""
    till, card = await pos.till(), await pos.card(1_000)
    assert (await till.buy(card, 1)).code == "00"
    for _ in range(3):
        other = pos.raw(till.terminal_no, till.merchant_no, till.tmk)
        await other.connect()
        assert (await other.sign_in()).code == "00"
    assert (await till.buy(card, 1)).code == "00"
    assert (await other.buy(card, 1)).code == "00"
    assert (await till.buy(card, 1)).code == "A0"


async def test_a_new_master_key_ends_the_session(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    assert (await till.buy(card, 1)).code == "00"
    till.tmk = (await pos.key(pos.world.north))[2]
    assert (await till.buy(card, 1)).code == "77"
    assert (await till.sign_in()).code == "00"
    assert (await till.buy(card, 1)).code == "00"


async def test_a_blocked_terminal_does_nothing_any_more(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    terminal = pos.world.north.terminal
    blocked = await pos.actors.operator.post(f"/v1/terminals/{terminal}/block", {})
    assert blocked.status == 200
    await pos.kabao.merchants.refresh()
    assert (await till.buy(card, 1)).code == "58"
    assert (await till.sign_in()).code == "58"


async def test_wrong_pins_lock_the_card_and_throttle_the_terminal(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    wrong = f"{(int(card.pin) + 1) % 10**12:012d}"
    codes = [(await till.buy(card, 1, pin=wrong)).code for _ in range(3)]
    assert set(codes) <= {"14", "55", "75"}
    assert (await till.buy(card, 1)).code in {"14", "75"}
    assert (await till.buy(card, 1, pin="")).code == "55"


@pytest.mark.row("P-19")
async def test_void_needs_the_whole_in_its_own_batch(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    assert (await till.buy(card, 300, trace="000100")).code == "00"
    assert (await till.void("000100", 299)).code == "13"
    assert (await till.void("000999", 300)).code == "25"
    other = await pos.till(fresh=True)
    assert (await other.void("000100", 300)).code == "25"
    assert (await till.void("000100", 300, trace="000101")).code == "00"
    assert (await till.void("000100", 300, trace="000101")).code == "00"
    assert (await till.void("000100", 300)).code == "22"
    assert await pos.actors.balance(card) == (1_000, 1_000)


async def test_refunds_name_the_rrn_and_never_exceed_the_payment(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    paid = await till.buy(card, 300)
    other = await pos.till(fresh=True)
    assert (await other.refund(paid.rrn, 100)).code == "00"
    assert (await till.refund(paid.rrn, 201)).code == "13"
    assert (await till.refund(paid.rrn, 200)).code == "00"
    assert (await till.refund("000000000000", 1)).code == "25"
    abroad = await pos.till(pos.world.outside)
    assert (await abroad.refund(paid.rrn, 1)).code == "25"
    assert await pos.actors.balance(card) == (1_000, 1_000)


@pytest.mark.row("ATK-11")
async def test_a_large_refund_takes_a_supervisor(pos: Pos) -> None:
    till = await pos.till()
    card = await pos.card(90_000)
    async with pos.kabao.db.transaction() as conn:
        ident = pos.world.north.supervisor.removeprefix("csh_")
        secret = await pos.kabao.merchants.overrides.draw_pin(conn, ident)
    paid = await till.buy(card, 60_000)
    alone = await till.refund(paid.rrn, 60_000)
    assert (alone.code, alone.words[1]) == ("58", "SUP")
    who = {63: b"supervisor", 62: pin_block(till.pik, "000000", "0" * 16)}
    assert (await till.refund(paid.rrn, 60_000, more=who)).code == "58"
    who[62] = pin_block(till.pik, secret, "0" * 16)
    assert (await till.refund(paid.rrn, 60_000, more=who)).code == "00"
    assert await pos.actors.balance(card) == (90_000, 90_000)
    pieces = await till.buy(card, 60_000)
    assert (await till.refund(pieces.rrn, 49_999)).code == "00"
    assert (await till.refund(pieces.rrn, 1)).code == "58"
    raced = await till.buy(card, 60_000)
    halves = await asyncio.gather(*(till.refund(raced.rrn, 30_000) for _ in range(2)))
    assert sorted(half.code for half in halves) == ["00", "58"], "each alone would be little"


@pytest.mark.row("T-02", "ATK-11")
async def test_a_load_is_undone_by_two_persons(pos: Pos) -> None:
    """Who is named at the sign-in has shown nothing; and nobody allows a till without a cashier."""
    till, card, pin = await pos.till(), await pos.card(), await pos.supervisor_pin()
    paid = await pos.card(60_000)
    assert (await till.load(card, 500, trace="000300")).code == "00"
    sale = await till.buy(paid, 60_000)
    for name, step in (("supervisor", "SUP"), ("", "SGN")):
        assert (await till.sign_in(name)).code == "00"
        no = await till.void_load("000300", 500)
        assert (no.code, no.words[1]) == ("58", step)
    alone = await till.void_load("000300", 500, more=till.allowing(pin))
    assert (alone.code, alone.words[1]) == ("58", "SGN")
    large = await till.refund(sale.rrn, 60_000, more=till.allowing(pin))
    assert (large.code, large.words[1]) == ("58", "SGN")
    assert (await till.sign_in()).code == "00"
    assert (await till.void_load("000300", 500)).words[1] == "SUP"
    wrong = await till.void_load("000300", 500, more=till.allowing("000000"))
    assert (wrong.code, wrong.words[1]) == ("58", "SUP")
    for _ in range(2):
        done = await till.void_load("000300", 500, more=till.allowing(pin), trace="000400")
        assert done.code == "00"
    assert await pos.actors.balance(card) == (0, 0)
    till.debit = [60_500, 2]
    assert (await till.settle()).code == "00"


@pytest.mark.row("P-07", "ATK-11")
async def test_a_typed_number_without_its_pin_takes_a_supervisor(pos: Pos) -> None:
    till, card, pin = await pos.till(), await pos.card(1_000), await pos.supervisor_pin()

    async def pay(trace: str, more: dict[int, object] | None = None) -> tuple[str, str]:
        mti, fields = till.sale(card, 300, pin="", trace=trace)
        answer = await till.exchange(till.signed(mti, fields | (more or {})))
        return answer.code, answer.words[1] if answer.code != "00" else ""

    assert await pay("000100") == ("55", "PIN")
    assert await pay("000101", till.allowing("000000")) == ("58", "SUP")
    for _ in range(2):
        assert await pay("000102", till.allowing(pin)) == ("00", "")
    assert (await till.sign_in("")).code == "00"
    assert await pay("000103", till.allowing(pin)) == ("58", "SGN")
    assert await pos.actors.balance(card) == (700, 700)
    till.debit = [300, 1]
    assert (await till.settle()).code == "00"


@pytest.mark.row("P-06")
async def test_hold_completion_and_cancel(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    first, second = [await till.hold(card, amount) for amount in (400, 500)]
    assert (first.code, second.available) == ("00", 100)
    assert (await till.complete(401, rrn=first.rrn)).code == "13"
    assert (await till.complete(250, rrn=first.rrn)).code == "00"
    assert (await till.cancel(500, rrn=second.rrn)).code == "00"
    assert await pos.actors.balance(card) == (750, 750)


@pytest.mark.row("P-17", "P-19")
@pytest.mark.parametrize("order", ["after", "before", "both"])
async def test_a_reversal_undoes_its_original_whenever_it_comes(pos: Pos, order: str) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    if order != "before":
        assert (await till.buy(card, 100, trace="000200")).code == "00"
    assert (await till.reverse("000200", 100)).code == "00"
    assert (await till.reverse("000200", 100)).code == "00"
    if order != "after":
        late = await till.buy(card, 100, trace="000200")
        assert late.code == ("22" if order == "before" else "00")
    assert await pos.actors.balance(card) == (1_000, 1_000)
    assert (await till.last("000200")).code == "22"


@pytest.mark.row("T-02")
async def test_loads_and_their_voids_and_reversals(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card()
    loaded = await till.load(card, 5_000, trace="000300")
    assert (loaded.code, loaded.available) == ("00", 5_000)
    assert (await till.load(card, 5_000, trace="000300")).fields == loaded.fields
    assert (await till.reverse("000301", 700, processing="630000")).code == "00"
    assert (await till.load(card, 700, trace="000301")).code == "22"
    assert (await till.last("000300")).code == "00"
    assert await pos.actors.balance(card) == (5_000, 5_000)


@pytest.mark.row("P-15")
async def test_a_card_is_reported_lost_and_a_pin_is_changed(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    fields = till.common("00") | till.card(card) | {3: "730000", 25: "00"}
    assert (await till.exchange(till.signed("0200", fields))).code == "00"
    assert (await till.buy(card, 1)).code == "41"
    own = await pos.card(programme=pos.world.registered, holder=await pos.actors.person())
    fields = till.common("00") | till.card(own) | {3: "730000", 25: "00"}
    for _ in range(2):
        assert (await till.exchange(till.signed("0200", fields))).code == "00"
    assert (await till.buy(own, 1)).code == "62", "frozen until its holder says more"
    other = await pos.card(1_000)
    fields = till.common("00") | till.card(other) | {3: "700000", 25: "00"}
    fields[62] = pin_block(till.pik, "193746820571", other.number)
    changed = await till.exchange(till.signed("0200", fields))
    assert changed.code == "00", changed.fields
    assert (await till.buy(other, 1, pin="193746820571")).code == "00"
    assert (await till.buy(other, 1)).code != "00"


async def test_settling_even_is_done_once_and_opens_the_next_batch(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(5_000)
    assert till.batch == "000001"
    await till.buy(card, 100, trace="000050")
    paid = await till.buy(card, 200, trace="000051")
    await till.void("000050", 100)
    await till.refund(paid.rrn, 50)
    await till.buy(card, 9_000)
    await till.load(card, 1_000)
    await till.buy(card, 10, trace="000090")
    await till.reverse("000090", 10)
    till.uncount("debit", 10)
    till.trace = 100
    first = await till.settle()
    assert first.code == "00"
    assert first.fields[48][30] == "1"
    assert int(first.fields[48][:12]) == 300
    assert int(first.fields[48][15:27]) == 1_150
    assert (await till.settle()).fields[48] == first.fields[48]
    assert (await till.buy(card, 1)).code == "77"
    assert (await till.sign_in()).code == "00"
    assert till.batch == "000002"
    assert (await till.buy(card, 1, trace="000050")).code == "00"


@pytest.mark.row("C-05")
async def test_a_batch_that_is_not_even_is_uploaded_and_settled_once(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(5_000)
    lines = []
    for n in range(12):
        trace = till.next()
        await till.buy(card, 10 + n, trace=trace)
        lines.append((-1, trace, 10 + n))
    lost = lines.pop()
    till.uncount("debit", lost[2])
    lines.append((-1, "000999", 5))
    till.debit[0] += 5
    till.debit[1] += 1
    uneven = await till.settle()
    assert (uneven.code, uneven.fields[48][30], uneven.words[1]) == ("95", "2", "UPL")
    for _ in range(2):
        await till.upload(lines)
    ended = await till.end_upload()
    again = await till.end_upload()
    assert ended.code == again.code == "00"
    assert ended.fields[48] == again.fields[48]
    assert int(ended.fields[48][:12]) == sum(10 + n for n in range(12))
    assert await pos.actors.balance(card) == (5_000 - 186, 5_000 - 186)


@pytest.mark.row("P-14")
async def test_a_pay_code_is_scanned_and_pays_once(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    made = await pos.actors.merchant.made("/v1/pay-codes", {"card": card.id})
    fields = till.common("22") | {3: "000000", 4: f"{300:012d}", 22: "0320", 25: "00", 49: "156"}
    paid = await till.exchange(till.signed("0200", fields | {59: made["code"]}))
    assert (paid.code, paid.available) == ("00", 700)
    fields |= {11: till.next()}
    again = await till.exchange(till.signed("0200", fields | {59: made["code"]}))
    assert again.code != "00"


@pytest.mark.row("P-08", "P-14")
async def test_a_pay_code_is_for_one_till_and_the_order_it_names(pos: Pos) -> None:
    """A batch is no order: a retry after the settlement pays, another order does not."""
    till, card = await pos.till(), await pos.card(1_000)
    other = await pos.till(fresh=True)

    async def pay(at: Till, code: str, amount: int, order: str | None = None) -> str:
        fields = at.common("22") | {3: "000000", 4: f"{amount:012d}", 22: "0320", 25: "00"}
        fields |= {49: "156", 59: code} | ({58: order} if order else {})
        return (await at.exchange(at.signed("0200", fields))).code

    for order in (None, "A-17"):
        code = (await pos.actors.merchant.made("/v1/pay-codes", {"card": card.id}))["code"]
        assert await pay(till, code, 2_000, order) == "51"
        assert await pay(other, code, 100, order) == "54"
        assert await pay(till, code, 100, "A-18") == "54"
        assert (await till.settle()).code == "00"
        assert (await till.sign_in()).code == "00"
        assert await pay(till, code, 100, order) == "00"
        till.debit = [100, 1]
    assert await pos.actors.balance(card) == (800, 800)

"""Files of payouts: written, answered, returned; over sockets against the sandbox's bank."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from pyiso20022.camt.camt_054_001_08 import camt_054_001_08 as camt054
from pyiso20022.pain.pain_001_001_09 import pain_001_001_09 as pain001
from pyiso20022.pain.pain_002_001_10 import pain_002_001_10 as pain002

from kabao.adapters.bank.batches import Batches, meant
from kabao.adapters.bank.channel import BankChannel
from kabao.adapters.bank.payout import BatchStatus, Status, read_batch
from kabao.clearing.model.batches import (
    Batch,
    BatchTold,
    Fate,
    Part,
    Payee,
    Returns,
    Told,
)
from kabao.clearing.ports import PaysOut
from kabao.funding.model.answers import Bill, NotThere, Refused, Unknown
from kabao_sandbox.bank import camt, files
from kabao_sandbox.bank.model import HOLDER
from kabao_sandbox.party.faults import Faults

from .test_bank import ORACLE
from .world import BEGIN, World, world

DAY = BEGIN.date()
MONEY_FEN = 10_000_000


@pytest.fixture
async def at() -> AsyncIterator[World]:
    async with world("bank") as made:
        await desk(made, "POST", "transfers", {"amount": MONEY_FEN, "words": "seed"})
        yield made


async def desk(at: World, method: str, path: str, said: dict[str, Any] | None = None) -> Any:
    async with httpx.AsyncClient(base_url=at.host.desk_url, trust_env=False) as people:
        done = await people.request(method, f"/{path}", json=said)
    assert done.status_code == 200, done.text
    return done.json()


def bank(at: World) -> Batches:
    channel = at.channel
    assert isinstance(channel, BankChannel) and isinstance(channel, PaysOut)
    return channel.batches


def batch(at: World, *amounts: int, no: str = "ba" * 16) -> Batch:
    return Batch(
        no=no,
        day=DAY + timedelta(days=1),
        created_us=at.clock.now_us(),
        parts=tuple(map(part, range(1, len(amounts) + 1), amounts)),
    )


def part(n: int, amount_fen: int) -> Part:
    to = Payee(f"门店 <{n}>", f"62220000000000000{n:02d}", "102100099996")
    return Part(
        no=f"{n:032x}", instruction=f"{n + 256:032x}", amount_fen=amount_fen, to=to, words="结算"
    )


async def test_a_file_is_what_the_standard_says_byte_for_byte(at: World) -> None:
    asked = batch(at, 100, 2_345, 1)
    file = bank(at).written(asked)
    assert file == bank(at).written(batch(at, 100, 2_345, 1))
    document = ORACLE.from_bytes(file, pain001.Document).cstmr_cdt_trf_initn
    header, (paying,) = document.grp_hdr, document.pmt_inf
    assert (header.msg_id, header.nb_of_txs, str(header.ctrl_sum)) == (asked.no, "3", "24.46")
    assert (paying.nb_of_txs, str(paying.ctrl_sum), paying.dbtr.nm) == ("3", "24.46", HOLDER)
    assert str(paying.reqd_exctn_dt.dt) == str(asked.day)
    for asks, one in zip(asked.parts, paying.cdt_trf_tx_inf, strict=True):
        assert (one.pmt_id.end_to_end_id, one.pmt_id.instr_id) == (asks.no, asks.instruction)
        assert (one.cdtr.nm, one.cdtr_acct.id.othr.id) == (asks.to.name, asks.to.account)


async def test_each_sum_is_told_apart(at: World) -> None:
    asked = batch(at, 100, 200, MONEY_FEN + 1)
    await desk(at, "PUT", f"payees/{asked.parts[1].to.account}", {"does": "closed"})
    assert await bank(at).ask(asked) == NotThere()
    one, two, three = asked.parts
    refused = (
        Told(two.no, Fate.REJECTED, 200, "AC04"),
        Told(three.no, Fate.REJECTED, MONEY_FEN + 1, "AM04"),
    )
    sent = await bank(at).send(asked)
    assert sent == BatchTold((Told(one.no, Fate.UNDER_WAY, 100), *refused))
    told = await bank(at).ask(asked)
    assert told == BatchTold((Told(one.no, Fate.PAID, 100), *refused))
    assert await bank(at).send(asked) == told
    paid = [line for line in await desk(at, "GET", "payouts") if line["paid"]]
    assert [line["no"] for line in paid] == [one.no]


async def test_a_number_is_taken_once_and_another_file_under_it_is_not(at: World) -> None:
    asked = batch(at, 100, 200)
    at.host.order(Faults(lose=60))
    said = [await bank(at).send(asked) for _ in range(12)]
    assert Unknown in {type(one) for one in said}
    at.host.order(Faults())
    other = replace(asked, parts=asked.parts[:1])
    assert isinstance(await bank(at).send(other), Unknown)
    assert isinstance(await bank(at).ask(asked), BatchTold)
    paid = await desk(at, "GET", "payouts")
    assert [(line["no"], line["paid"]) for line in paid] == [(p.no, True) for p in asked.parts]


async def test_what_comes_back_is_told_under_the_payouts_number(at: World) -> None:
    asked = batch(at, 100, 200)
    one, two = asked.parts
    await desk(at, "PUT", f"payees/{two.to.account}", {"does": "returns"})
    await bank(at).send(asked)
    back = Told(two.no, Fate.RETURNED, 200, "AC04", at.clock.now_us())
    assert await bank(at).returns(DAY) == Returns(DAY, (back,))
    at.clock.advance(timedelta(days=1))
    await desk(at, "POST", f"payouts/{one.no}/return", {"reason": "AC06"})
    next_day = DAY + timedelta(days=1)
    assert await bank(at).returns(next_day) == Returns(
        next_day, (Told(one.no, Fate.RETURNED, 100, "AC06", at.clock.now_us()),)
    )
    for day, lines in ((DAY, 4), (next_day, 1)):  # the balances of both days tie
        bill = await at.channel.bill(day)
        assert isinstance(bill, Bill) and len(bill.lines) == lines


async def test_the_oracle_reads_the_banks_side(at: World) -> None:
    asked = batch(at, 100, 200)
    await desk(at, "PUT", f"payees/{asked.parts[1].to.account}", {"does": "returns"})
    party: Any = at.party
    told = party.files.take(bank(at).written(asked), MONEY_FEN)
    report = ORACLE.from_bytes(told, pain002.Document).cstmr_pmt_sts_rpt
    assert report.orgnl_grp_inf_and_sts.grp_sts == "ACSP"
    found = camt.notification(party.files.entries, 1, DAY)
    (notice,) = ORACLE.from_bytes(found, camt054.Document).bk_to_cstmr_dbt_cdt_ntfctn.ntfctn
    back = notice.ntry[-1].ntry_dtls[0].tx_dtls[0]
    assert (back.rtr_inf.rsn.cd, back.refs.end_to_end_id) == ("AC04", asked.parts[1].no)


@pytest.mark.parametrize(
    ("bend", "reason"),
    [
        ((b"<NbOfTxs>2", b"<NbOfTxs>3"), "AM18"),
        ((b"<CtrlSum>3.00", b"<CtrlSum>3.01"), "AM10"),
        ((b"110060971018010099999", b"110060971018010099998"), "AC02"),
    ],
)
async def test_a_wrong_file_is_refused_whole(
    at: World, bend: tuple[bytes, bytes], reason: str
) -> None:
    asked = batch(at, 100, 200)
    found = files.Files(at.clock.now_us, lambda: "1")
    status = found.take(bank(at).written(asked).replace(*bend), MONEY_FEN)
    assert meant(read_batch(status), asked) == Refused(reason)
    assert not found.entries


def test_a_report_of_anything_else_says_nothing() -> None:
    one = part(1, 100)
    asked = Batch(no="ba" * 16, day=DAY, created_us=0, parts=(one,))
    told = Status(one.no, "ACSC", "", 100)
    ok = BatchStatus(asked.no, "ACSC", "", (told,))
    assert meant(ok, asked) == BatchTold((Told(one.no, Fate.PAID, 100),))
    for wrong in (
        replace(ok, no="bb" * 16),
        replace(ok, payouts=(replace(told, no="9" * 32),)),
        replace(ok, payouts=(replace(told, amount_fen=101),)),
        replace(ok, code="RJCT", reason="DU01"),
    ):
        assert isinstance(meant(wrong, asked), Unknown)
    silent = replace(ok, payouts=())
    assert meant(silent, asked) == BatchTold((Told(one.no, Fate.PAID),))
    assert meant(replace(silent, code="PDNG"), asked) == BatchTold(())
    strange = replace(ok, code="PART", payouts=(replace(told, code="????"),))
    assert meant(strange, asked) == BatchTold((Told(one.no, Fate.UNDER_WAY, 100),))


@pytest.mark.parametrize("reason", ["AM05", "DU01", "DU02", "DU03", "DU04", "DU05"])
def test_a_copy_that_is_refused_says_nothing_of_the_first(reason: str) -> None:
    """Else its sums would be owed again, and paid again, while the bank executes the first."""
    first, second = part(1, 100), part(2, 200)
    asked = Batch(no="ba" * 16, day=DAY, created_us=0, parts=(first, second))
    whole = BatchStatus(asked.no, "RJCT", reason, ())
    assert isinstance(meant(whole, asked), Unknown)
    copy = Status(first.no, "RJCT", reason, 100)
    waits = Told(first.no, Fate.UNDER_WAY, 100, reason)
    for code in ("RJCT", "PART", ""):
        assert meant(BatchStatus(asked.no, code, "", (copy,)), asked) == BatchTold((waits,))
    other = Status(second.no, "RJCT", "AC04", 200)
    told = meant(BatchStatus(asked.no, "PART", "", (copy, other)), asked)
    assert told == BatchTold((waits, Told(second.no, Fate.REJECTED, 200, "AC04")))

"""Slips: what they say, and that no line is wider than the paper."""

from __future__ import annotations

from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.evidence.model import Kind
from kabao.evidence.slip import Cash, Names, Paper, slip, unknown_slip, width

from .make import RECEIPT

NAMES = Names("北京路店", "00000001", "0042")


def test_a_slip_of_58_mm() -> None:
    made = slip(RECEIPT, "12345678", NAMES, copy=1, paper=Paper.NARROW, returnable=True)
    assert (
        made.text()
        == f"""\
            北京路店
            消费凭证
--------------------------------
商户号           KB0000000000007
终端号                  00000001
收银员                      0042
--------------------------------
卡号                   **** 4242
交易类型                    消费
金额                     12.34元
其中赠送金额              2.34元
卡可用余额               87.66元
可开票金额                0.00元
--------------------------------
参考号                   order-1
交易时间     2026-11-22 10:00:00
营业日                2026-11-22
流水号
   {RECEIPT.serial}
验证码                  12345678
--------------------------------
预付卡支付部分不开具发票
凭流水号和验证码查询或退货
"""
    )


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("paper", Paper)
def test_every_kind_has_a_title(kind: Kind, paper: Paper) -> None:
    receipt = msgspec.structs.replace(RECEIPT, kind=kind, destination="suspense")
    made = slip(receipt, "00000000", NAMES, copy=3, paper=paper)
    assert "*** 重印 第3联 ***" in made.text()
    assert "挂账待处理" in made.text()
    assert "退货" not in made.rows()[-1], "promised only where it is done"
    assert ("可开票金额" in made.text()) == (kind in {Kind.PAYMENT, Kind.CAPTURE})


texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=64)


@given(texts, texts, st.sampled_from(Paper), st.integers(0, 2**53))
def test_no_line_is_wider_than_the_paper(
    store: str, reference: str, paper: Paper, amount_fen: int
) -> None:
    receipt = msgspec.structs.replace(RECEIPT, reference=reference, amount=amount_fen)
    names = Names(store, "00000001", None)
    cash = Cash(amount_fen, amount_fen)
    for made in (
        slip(receipt, "12345678", names, copy=2, paper=paper, cash=cash),
        unknown_slip(amount_fen, receipt.occurred_at, "M", names, reference=reference, paper=paper),
    ):
        assert all(width(row) <= made.columns for row in made.rows())
        shown = "".join(line.left + line.middle + line.right for line in made.lines)
        assert store in shown
        assert reference in shown


def test_full_width_counts_twice() -> None:
    assert [width(text) for text in ("a", "中", "，", "…", "é", "e\u0301", "")] == [
        1,
        2,
        2,
        2,
        2,
        1,
        0,
    ]


def test_the_image_is_well_formed_whatever_a_store_is_called() -> None:
    names = Names('<script>&"店', None, None)
    image = slip(RECEIPT, "12345678", names, copy=1, paper=Paper.WIDE).svg()
    root = ElementTree.fromstring(image)
    found = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert names.store in found
    assert root.attrib["width"] == "80mm"

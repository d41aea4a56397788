"""Pure rules of codes and texts."""

import pytest

from kabao.base.errors import KabaoError
from kabao.proofs.model import check_phone, is_code, phone_key, sms_text


@pytest.mark.parametrize("phone", ["123456", "13800000001", "+8613800000001", "1" * 15])
def test_phones(phone: str) -> None:
    check_phone(phone)


@pytest.mark.parametrize(
    "phone", ["", "12345", "1380000000a", "+", "1" * 16, "138 0000 0001", "１３８00000001", "138\n"]
)
def test_what_is_no_phone(phone: str) -> None:
    with pytest.raises(KabaoError) as no:
        check_phone(phone)
    assert no.value.field == "phone"


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("13800000001", "13800000001"),
        ("8613800000001", "13800000001"),
        ("+8613800000001", "13800000001"),
        ("008613800000001", "13800000001"),
        ("+4915112345678", "4915112345678"),
        ("86138", "86138"),
    ],
)
def test_one_phone_has_one_key(written: str, key: str) -> None:
    assert phone_key(written) == key


@pytest.mark.parametrize(
    ("text", "could_be"), [("123456", True), ("123", False), ("12a456", False)]
)
def test_what_could_be_a_code(text: str, could_be: bool) -> None:
    assert is_code(text) is could_be
    assert not is_code("１２３４５６")


def test_a_text_names_the_code_and_how_long_it_is_good() -> None:
    assert sms_text("123456", 300).startswith("【卡包】验证码123456，5分钟内有效")
    assert "5 min" in sms_text("123456", 300)
    assert "1 min" in sms_text("123456", 30)

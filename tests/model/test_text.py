import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smsc_async._model.text import Encoding, parts

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "\f^{}\\[~]|€"

gsm_texts = st.text(alphabet=BASIC + EXTENSION, max_size=700)
any_texts = st.text(
    alphabet=st.one_of(st.characters(exclude_categories=["Cs"]), st.just("€"), st.just("😀")), max_size=300
)


def septets(text: str) -> int:
    return len(text) + sum(text.count(character) for character in EXTENSION)


def utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def test_basic_alphabet_has_every_septet_but_the_escape() -> None:
    assert len(set(BASIC)) == 127
    assert parts(BASIC).encoding is Encoding.GSM_7
    assert parts(BASIC).units == 127


@pytest.mark.parametrize("character", EXTENSION)
def test_extension_character_takes_two_septets(character: str) -> None:
    cut = parts(character)
    assert (cut.encoding, cut.units, cut.count) == (Encoding.GSM_7, 2, 1)


@pytest.mark.parametrize("character", ["ç", "`", "\t", "ё", "—", "\x1b", "\u00a0", "😀"])
def test_any_other_character_makes_the_whole_text_ucs_2(character: str) -> None:
    assert parts("plain" + character).encoding is Encoding.UCS_2


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("я" * 70, 1),
        ("я" * 71, 2),
        ("я" * 134, 2),
        ("я" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        # 153 and 67 are odd, so each SMS of pairs ends one unit early and the count grows.
        ("€" * 152, 2),
        ("€" * 153, 3),
        ("😀" * 66, 2),
        ("😀" * 67, 3),
    ],
)
def test_text_fills_so_many_sms(text: str, count: int) -> None:
    assert parts(text).count == len(parts(text)) == count


def test_empty_text_is_one_empty_sms() -> None:
    assert parts("").segments == ("",)


def test_escape_pair_at_the_border_moves_to_the_next_sms() -> None:
    assert parts("a" * 152 + "€" + "b" * 10).segments == ("a" * 152, "€" + "b" * 10)


def test_surrogate_pair_at_the_border_moves_to_the_next_sms() -> None:
    assert parts("я" * 66 + "😀" + "ю" * 10).segments == ("я" * 66, "😀" + "ю" * 10)


def test_encodings_print_as_the_standard_names_them() -> None:
    assert [str(encoding) for encoding in Encoding] == ["GSM-7", "UCS-2"]


@given(gsm_texts)
def test_gsm_text_is_counted_in_septets_and_each_sms_has_room(text: str) -> None:
    cut = parts(text)
    assert cut.units == septets(text)
    assert max(map(septets, cut.segments)) <= (160 if cut.count == 1 else 153)


@given(any_texts)
@example("я" * 67 + "😀" * 40)
def test_no_text_is_lost_or_cut_inside_a_character(text: str) -> None:
    cut = parts(text)
    assert "".join(cut.segments) == text
    if cut.encoding is Encoding.UCS_2:
        assert cut.units == utf16_units(text)
        assert max(map(utf16_units, cut.segments)) <= (70 if cut.count == 1 else 67)


@given(any_texts)
def test_no_sms_could_take_the_first_character_of_the_next(text: str) -> None:
    cut = parts(text)
    units, room = (septets, 153) if cut.encoding is Encoding.GSM_7 else (utf16_units, 67)
    for this, following in zip(cut.segments, cut.segments[1:], strict=False):
        assert units(this + following[0]) > room


@given(any_texts, st.integers(min_value=0))
def test_text_that_loses_its_end_never_needs_more_sms(text: str, length: int) -> None:
    assert parts(text[: length % (len(text) + 1)]).count <= parts(text).count


def test_a_repr_does_not_show_the_text() -> None:
    assert repr(parts("canary")) == "Parts(encoding=<Encoding.GSM_7: 'GSM-7'>, segments=<1 SMS>, units=6)"

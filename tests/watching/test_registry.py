"""The book of a watch forgets who has ended, and the expiries lose nobody."""

import math

from hypothesis import given
from hypothesis import strategies as st

from smsc_async import MessageRef, Update
from smsc_async._watching.registry import Book, Expiries


def ref(number: int) -> MessageRef:
    return MessageRef("+79991234567", number + 1)


def enter(book: Book, number: int, since: float = 0.0) -> int:
    key = book.add(ref(number), since, None)
    assert key is not None
    return key


def end(book: Book, key: int) -> None:
    update = Update(book.ref(key), expired=True, is_last=True)
    assert book.tell(key, update)
    assert not book.tell(key, update)
    book.take(key, update)


def test_a_key_is_given_again_only_when_nobody_holds_it() -> None:
    book = Book()
    first, second = enter(book, 0), enter(book, 1)
    book.hold(first)
    end(book, first)
    end(book, second)
    assert len(book) == 0
    assert enter(book, 2) == second
    book.release(first)
    assert enter(book, 3, 5.0) == first
    assert (book.ref(first), book.since(first), book.entered) == (ref(3), 5.0, 4)


def test_an_ended_message_may_be_entered_anew() -> None:
    book = Book()
    key = enter(book, 0)
    assert book.add(ref(0), 0.0, None) is None
    end(book, key)
    assert book.key(ref(0)) is None
    assert book.add(ref(0), 0.0, None) is not None


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=60))
def test_each_open_message_expires_in_its_time(messages: list[tuple[float, bool]]) -> None:
    book = Book()
    expiries = Expiries(book, 10.0)
    for number, (since, ends) in enumerate(messages):
        key = enter(book, number, since)
        expiries.add(key)
        if ends:
            end(book, key)
    due = []
    while (at := expiries.next_at()) < math.inf:
        assert expiries.pop(at - 1e-9) is None or at > 1e6
        key_or_none = expiries.pop(at)
        if key_or_none is not None:
            due.append(book.since(key_or_none))
    assert due == sorted(since for since, ends in messages if not ends)
    assert len(expiries) == 0


def test_expiries_of_those_who_ended_do_not_pile_up() -> None:
    book = Book()
    expiries = Expiries(book, 10.0)
    for number in range(1000):
        key = enter(book, number, since=1000.0 - number if number % 2 else 1000.0)
        expiries.add(key)
        end(book, key)
        assert len(expiries) < 100
    assert len(book._names) < 100


def test_never_is_no_expiry() -> None:
    book = Book()
    expiries = Expiries(book, math.inf)
    expiries.add(enter(book, 0))
    assert (len(expiries), expiries.next_at(), expiries.pop(1e12)) == (0, math.inf, None)

"""What is remembered of the texts that pods carry: the last few, and no long one."""

from __future__ import annotations

from desist.lifecycle.wire import fields


class Parser:
    """Says how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.read = fields.lately(self._parse)

    def _parse(self, text: str) -> int:
        self.asked += 1
        return len(text)


def test_a_text_is_read_once_as_long_as_it_is_one_of_the_last() -> None:
    parser = Parser()
    assert [parser.read("one"), parser.read("one")] == [3, 3]
    assert parser.asked == 1
    for number in range(fields.LATELY):
        parser.read(f"other {number}")
    parser.read("one")
    assert parser.asked == 2 + fields.LATELY


def test_a_text_that_is_too_long_to_be_kept_is_read_each_time() -> None:
    parser = Parser()
    longest, longer = "x" * fields.LONGEST, "x" * (fields.LONGEST + 1)
    assert [parser.read(text) for text in (longest, longest, longer, longer)] == [len(longest)] * 2 + [len(longer)] * 2
    assert parser.asked == 3

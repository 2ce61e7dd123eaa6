"""Types of the benchmarks' arguments."""


def integers(text: str) -> list[int]:
    """The integers of a text such as '0,1,2'."""
    return [int(number) for number in text.split(",")]

"""A thesaurus in a file: words and their synonyms."""

from __future__ import annotations


def parsed(text: str) -> dict[str, tuple[str, ...]]:
    r"""Return word to synonyms, from lines `word TAB synonym,synonym`; empty lines and those with # are left out.

    Raises:
        ValueError: a line has no tab, or nothing on one side of it.

    Example:
        >>> parsed("big\tlarge, huge\n")
        {'big': ('large', 'huge')}
    """
    found: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        word, tab, others = line.partition("\t")
        synonyms = tuple(each.strip() for each in others.split(",") if each.strip())
        if not (tab and word.strip() and synonyms):
            raise ValueError(f"line {number} is {line[:60]!r}; expected a word, a tab, and synonyms between commas")
        found[word.strip()] = (*found.get(word.strip(), ()), *synonyms)
    return found

"""Reads linear hypotheses as people write them: ``"x1 = x2 = 0"``, ``"2*x1 - x2 = 3, C(day)[T.5] =
C(day)[T.6]"``.

Parameter names may hold brackets, commas, spaces, operators and equal signs, so known names are looked for
first, the longest first, and only what is left is read as arithmetic. Backquotes settle what remains
ambiguous.
"""

import difflib
import re
from collections.abc import Sequence

__all__ = ["parse_hypothesis"]

_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_OPERATORS = "+-*/()=,"


def parse_hypothesis(text: str, names: Sequence[str]) -> list[tuple[dict[str, float], float]]:
    """Linear equations that ``text`` states about the parameters ``names``.

    Parameters
    ----------
    text : str
        Equations separated by commas. ``a = b = 0`` states two. Without an equal sign, ``= 0`` is meant.
        A name that is also a number or an operator is written in backquotes.
    names : sequence of str

    Returns
    -------
    list of (dict, float)
        Per equation the coefficient of each name that occurs, and the right-hand side.

    Examples
    --------
    >>> parse_hypothesis("2*x1 - x2 = 3", ["x1", "x2"])
    [({'x1': 2.0, 'x2': -1.0}, 3.0)]
    """
    return _Parser(text, _tokens(text, names)).equations()


def _tokens(text, names):
    """Cut the text into ("name", …), ("number", …) and operator tokens."""
    known = sorted({name for name in names if name}, key=len, reverse=True)
    # A column called "1" or "-" is written in backquotes: bare, 1 is a number and - an operator.
    bare = [name for name in known if not (_NUMBER.fullmatch(name) or set(name) <= set(_OPERATORS))]
    tokens, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        name = _name_at(text, at, bare)
        number = _NUMBER.match(text, at)
        if name is not None:
            tokens.append(("name", name, at))
            at += len(name)
        elif text[at] == "`":
            end = text.find("`", at + 1)
            quoted = text[at + 1 : end]
            if end < 0 or quoted not in known:
                raise ValueError(_unknown(text, quoted if end > 0 else text[at:], known))
            tokens.append(("name", quoted, at))
            at = end + 1
        elif number and not _continues(text, number.end()):
            tokens.append(("number", float(number.group()), at))
            at = number.end()
        elif text[at] in _OPERATORS:
            width = 2 if text.startswith("==", at) else 1
            tokens.append((text[at], None, at))
            at += width
        else:
            word = re.match(r"[^\s=+*/,]+(?:\[[^\]]*\])?", text[at:])
            raise ValueError(_unknown(text, word.group() if word else text[at], known))
    return tokens


def _name_at(text, at, known):
    """Longest known name that starts here and does not break off inside a word."""
    for name in known:
        if text.startswith(name, at) and not (_is_word(name[-1]) and _continues(text, at + len(name))):
            return name
    return None


def _is_word(character):
    return character.isalnum() or character == "_"


def _continues(text, at):
    return at < len(text) and (_is_word(text[at]) or text[at] in ".[")


def _unknown(text, word, known):
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    hint = "did you mean " + " or ".join(repr(name) for name in near) + "?" if near else _sample(known)
    return f"no parameter is called {word!r} in the hypothesis {text!r}: {hint}"


def _sample(known):
    shown = ", ".join(repr(name) for name in sorted(known)[:8])
    return f"the parameters are {shown}" + (", …" if len(known) > 8 else "")


class _Parser:
    """Recursive descent over the tokens; a value is ({name: coefficient}, constant)."""

    def __init__(self, text, tokens):
        self.text, self.tokens, self.at = text, tokens, 0

    def equations(self):
        found = self._equation()
        while self._take(","):
            found += self._equation()
        if self.at < len(self.tokens):
            raise self._error("an operator, '=' or ',' is missing")
        return found

    def _equation(self):
        sides = [self._sum()]
        while self._take("="):
            sides.append(self._sum())
        if len(sides) == 1:
            sides.append(({}, 0.0))
        # a = b = 0 says that every side equals the last one.
        last, found = sides[-1], []
        for side in sides[:-1]:
            coefficients, constant = _add(side, last, -1.0)
            coefficients = {name: value for name, value in coefficients.items() if value != 0.0}
            if not coefficients:
                raise ValueError(f"the hypothesis {self.text!r} has an equation without a parameter")
            found.append((coefficients, 0.0 - constant))
        return found

    def _sum(self):
        value = self._product()
        while sign := self._take("+", "-"):
            value = _add(value, self._product(), 1.0 if sign == "+" else -1.0)
        return value

    def _product(self):
        value = self._factor()
        while operator := self._take("*", "/"):
            other = self._factor()
            if operator == "*" and value[0] and other[0]:
                raise self._error("a product of two parameters is not linear")
            if operator == "/" and (other[0] or other[1] == 0.0):
                raise self._error("only division by a number other than zero is linear")
            if operator == "/":
                value = _add(({}, 0.0), value, 1.0 / other[1])
            elif other[0]:
                value = _add(({}, 0.0), other, value[1])
            else:
                value = _add(({}, 0.0), value, other[1])
        return value

    def _factor(self):
        if self._take("-"):
            return _add(({}, 0.0), self._factor(), -1.0)
        if self._take("+"):
            return self._factor()
        if self._take("("):
            value = self._sum()
            if not self._take(")"):
                raise self._error("a parenthesis is not closed")
            return value
        if self.at < len(self.tokens):
            kind, content, _ = self.tokens[self.at]
            if kind in ("name", "number"):
                self.at += 1
                return ({content: 1.0}, 0.0) if kind == "name" else ({}, content)
        raise self._error("a parameter or a number is missing")

    def _take(self, *kinds):
        if self.at < len(self.tokens) and self.tokens[self.at][0] in kinds:
            self.at += 1
            return self.tokens[self.at - 1][0]
        return None

    def _error(self, what):
        where = (
            f"before {self.text[self.tokens[self.at][2] :]!r}" if self.at < len(self.tokens) else "at the end"
        )
        return ValueError(f"cannot read the hypothesis {self.text!r}: {what} {where}")


def _add(left, right, factor):
    """left + factor * right."""
    coefficients = dict(left[0])
    for name, value in right[0].items():
        coefficients[name] = coefficients.get(name, 0.0) + factor * value
    return coefficients, left[1] + factor * right[1]

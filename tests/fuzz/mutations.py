"""Ways to spoil a file: what disks, networks, editors and people do to JSON, to tensors and to images.

Each function returns a strategy of hypothesis, so that what fails is shrunk to little.
"""

import copy
import json

from hypothesis import strategies as st

#: Values that are of the wrong kind, or too large, nearly everywhere.
ODD = (
    None, True, False, 0, -1, 1, 3, 10**6, 10**18, -(10**30), 10**400, 0.5, -0.0, 1e-320, 1e308,
    float("nan"), float("inf"), float("-inf"), "", " ", "a", "..", "/", "~", "~nobody", "\x00",
    "\x1b[2J", "\ud800", "é", "😀", "x" * 5000, "1", "null", "none", "default", "auto", [], [[]],
    [None], {}, {"": None}, {"name": "a"}, {"name": None}, {"name": "knn", "options": []}, [1, 2, 3],
    ["a", "b"],
)  # fmt: skip


def places(value, path=()):
    """Yield the way to each part of a JSON value, the whole first."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


def at(value, path):
    for key in path:
        value = value[key]
    return value


@st.composite
def mutated_json(draw, value, most=3):
    """A JSON value with some parts replaced, removed, added, doubled, exchanged or nested."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, most))):
        path = draw(st.sampled_from(list(places(value))))
        if not path:
            if draw(st.integers(0, 9)) == 0:
                return draw(st.sampled_from(ODD))
            if not isinstance(value, dict):
                return value
            value[
                draw(st.sampled_from(["", "x", "name", "options", "__class__", "schema_version"]))
            ] = draw(st.sampled_from(ODD))
            continue
        around, key = at(value, path[:-1]), path[-1]
        kind = draw(st.sampled_from(["odd", "odd", "remove", "double", "other", "nest", "text"]))
        if kind == "odd":
            around[key] = copy.deepcopy(draw(st.sampled_from(ODD)))
        elif kind == "remove":
            del around[key]
        elif kind == "double" and isinstance(around, list):
            around.insert(key, copy.deepcopy(around[key]))
        elif kind == "other":
            other = draw(st.sampled_from(list(places(value))))
            around[key] = copy.deepcopy(at(value, other))
        elif kind == "nest":
            around[key] = draw(st.sampled_from([[around[key]], {"name": around[key]}]))
        else:
            around[key] = str(around[key])[:200]
    return value


@st.composite
def mutated_json_file(draw, value):
    """The bytes of a JSON file: of a mutated value, or with its text spoilt."""
    kind = draw(st.integers(0, 11))
    if kind > 3:
        value = draw(mutated_json(value))
    text = json.dumps(value, indent=draw(st.sampled_from([None, 2])))
    if kind == 0:
        return draw(mutated_bytes(text.encode()))
    if kind == 1:
        # A key that stands there twice, with another value.
        quotes = [
            index for index, one in enumerate(text) if text.startswith('"', index) and one == '"'
        ]
        end = text.find('":', draw(st.sampled_from(quotes)) if quotes else 0)
        start = text.rfind('"', 0, end)
        if 0 <= start < end:
            key = text[start : end + 1]
            other = json.dumps(draw(st.sampled_from(ODD)))
            return f"{text[:start]}{key}: {other}, {text[start:]}".encode()
    if kind == 2:
        depth = draw(st.sampled_from([70, 1000, 100_000]))
        deep = draw(
            st.sampled_from(["[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth])
        )
        return draw(
            st.sampled_from([deep, text.replace("1", deep, 1), '{"a": ' + deep + "}"])
        ).encode()
    if kind == 3:
        return draw(
            st.sampled_from(
                [
                    b"", b"null", b"[]", b"{}", b"3", b'"a"', b"\xff\xfe\x00", text.encode("utf-16"),
                    b"\xef\xbb\xbf" + text.encode(), text.encode() * 2, b"1" * 10_000,
                    text.encode() + b"\x00", b"{" + b'"a":1,' * 1000 + b'"a":1}',
                ]
            )
        )  # fmt: skip
    return text.encode("utf-8", "surrogatepass")


@st.composite
def mutated_bytes(draw, content, most=4):
    """Bytes with bits flipped, parts removed, doubled, exchanged, blanked or made up, or cut short.

    Half of the places are at the start, where headers are.
    """
    made = bytearray(content)
    for _ in range(draw(st.integers(1, most))):
        size = len(made)
        if not size:
            return b""
        place = draw(st.one_of(st.integers(0, size - 1), st.integers(0, min(size, 256) - 1)))
        length = draw(st.sampled_from([1, 2, 4, 8, 64, 1024]))
        kind = draw(
            st.sampled_from(
                ["flip", "flip", "flip", "set", "cut", "drop", "double", "swap", "fill", "new"]
            )
        )
        if kind == "flip":
            made[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == "set":
            made[place] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFE, 0xFF]))
        elif kind == "cut":
            del made[place:]
        elif kind == "drop":
            del made[place : place + length]
        elif kind == "double":
            made[place:place] = made[place : place + length]
        elif kind == "swap":
            other = draw(st.integers(0, size - 1))
            one, two = made[place : place + length], made[other : other + length]
            made[place : place + len(one)], made[other : other + len(two)] = (
                two[: len(one)],
                one[: len(two)],
            )
        elif kind == "fill":
            made[place : place + length] = bytes([draw(st.sampled_from([0, 0xFF]))]) * len(
                made[place : place + length]
            )
        else:
            made[place : place + length] = draw(st.binary(min_size=0, max_size=length))
    return bytes(made)


@st.composite
def mutated_json_lines(draw, values):
    """The bytes of a file of JSON lines: of mutated values, or with its text spoilt."""
    values = draw(mutated_json(values))
    if draw(st.integers(0, 3)) == 0 or not isinstance(values, list):
        return draw(mutated_bytes(json.dumps(values).encode()))
    return "".join(json.dumps(value) + "\n" for value in values).encode()

"""What no file should hold: values, texts and bytes that mutations put in the place of right ones."""

from random import Random
from typing import Any

#: Texts that programs stumble over: nothing, white space, control characters, halves of surrogate pairs, letters that
#: turn the direction of a line, two spellings of one letter, code of several languages, paths, numbers that are none.
TEXTS = (
    "", " ", "\n", "\t", "\0", "\x1b[31m", "\x7f", "\x85", "\ud800", "\udfff\ud800", "\ufeff", "\ufffe", "\u200b",
    "\u2028", "\u202e", "\u2066", "\u0301", "\u00e9", "e\u0301", "\u212a", "\U0001f468\u200d\U0001f469", "ß", "İ",
    "0", "-1", "1e999", "NaN", "null", "true", "no", "[]", "{}", "['a', 'b']", '["a"]', "{query}", "{0.__class__}",
    "%s", "$(touch x)", "`touch x`", "'; touch x; '", "../../x", "/etc/passwd", "C:\\x", "<script>alert(1)</script>",
    "<p>", "<!--", "<![CDATA[", "&#0;", "&#xD800;", "&amp", "](http://x", "**", "```", "|---|", "a\tb", '"', '""',
    "'", "\\", "/", ".", "..", "~", "*", "[", "**/x", "http://user:password@host/x", "s3://x/y", "package:x==1/../y",
    "\u0660", "x" * 5000, "<b>" * 500, "[" * 500, "&" * 500,
)  # fmt: skip

#: Values of JSON; those that no text of JSON may hold are texts of :data:`RAW`.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 255, 2**31 - 1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63, 2**64, 10**30, 0.0, -0.0,
    0.5, -0.5, 1e-320, 1e308, -1e308, [], {}, [None], [[]], [{}], {"": None}, {"a": {}}, [1, "a"], [""],
    list(range(300)), ["x"] * 300,
)  # fmt: skip

#: Pieces of JSON that Python's own values do not make.
RAW = (
    "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400, "9" * 5000, "1" + "0" * 308 + ".5",
    "[" * 300 + "]" * 300, "[" * 3000 + "]" * 3000, '{"a":' * 3000 + "1" + "}" * 3000, '{"a": 1, "a": 2}', "[" * 3000,
    "'a'", "undefined", "0x10", "+1", "01", ".5", '"\\ud800"', '"\\u0000"', "tru", "\u00a0", "// x",
)  # fmt: skip

#: Pieces of bytes, of every kind of file.
BYTES = (
    b"\0", b"\0" * 64, b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80",
    b"\xe2\x80\xae", b"\r", b"\n", b"\r\n", b"\n\n\n", b"\t", b"\t\t", b",", b";", b'"', b'""', b'","', b"'", b"{",
    b"}", b"[", b"]", b":", b": ", b"\\", b"\\u", b"\\ud800", b"\x1b[31m", b"NaN", b"-", b"1e999", b"9" * 400,
    b"null", b"../", b"$(touch x)", b"<script>", b"<!--", b"&", b"&a ", b"*a", b"*a, *a", b"<<: ", b"? ", b"- ",
    b"|\n", b"%YAML 9.9\n", b"---\n", b"...\n", b"!!python/name:os.system ",
    b"!!python/object/apply:os.system [touch x]\n", b"!!binary x", b"!!set ", b"!!timestamp 9999-99-99", b"010",
    b"1:30", b"=", b"PAR1", b"\x1f\x8b", b"ustar\x0000", b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06",
    b"\x28\xb5\x2f\xfd", b"\x80\x04\x95", b"GGUF", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"path=x\n", b"q1\t0\td1\t1\n",
)  # fmt: skip


def text(random: Random, given: str) -> str:
    """A text that is odd, or one that has become so."""
    odd = random.choice(TEXTS)
    if random.random() < 0.4:
        return odd
    place = random.randrange(len(given) + 1)
    return random.choice(
        (
            given[:place] + odd + given[place:],
            given[:place],
            given[::-1],
            given.upper(),
            given * 3,
            odd + given,
            given + odd,
        )
    )

"""`%%bash` and its like as Python: what their options and arguments do."""

import pytest
from reactive import Reactive, prepared


def runs(*codes):
    """Import cells and run the result; return what it shows."""
    return "".join(Reactive([cell.code for cell in prepared(codes).cells]).run().values())


@pytest.mark.parametrize(
    ("codes", "shown"),
    [
        (["n = 3", "%%bash -s {n}\necho got $1"], "got 3\n"),
        (["n = 3", "%%bash -s $n {n + 1}\necho $1 $2"], "3 4\n"),
        (["w = 'a b'", '%%bash -s "{w}"\necho "[$1]"'], "[a b]\n"),
        (["n = 3", "%%script bash -s {n}\necho got $1"], "got 3\n"),
        (["%%bash\nn=1; echo $n ${n} {n}"], "1 1 {n}\n"),
        (["%%bash --out text\necho hi", "print(text.strip())"], "hi\n"),
        (["%%bash --out=text\necho hi", "print(repr(text))"], "'hi\\n'\n"),
        (["%%script bash --out text\necho hi", "print(text.strip())"], "hi\n"),
        (["%%bash --err wrong\necho hi; echo no >&2", "print('err', wrong)"], "hi\nerr no\n\n"),
        (["%%bash --out a --err b\necho hi; echo no >&2", "print([a, b])"], "['hi\\n', 'no\\n']\n"),
        (["%%bash --bg --out stream\necho hi", "print(stream.read())"], "b'hi\\n'\n"),
        (["%%bash --bg --proc p\nexit 3", "print(p.wait(), p.stdout.read())"], "3 b''\n"),
        (["%%bash --no-raise-error\necho a; exit 1", "print('on')"], "a\non\n"),
        (["%%bash\necho a; exit 1"], "a\nCalledProcessError\n"),
        (["%%script false --no-raise-error\nskipped", "print('on')"], "on\n"),
        (["n = 3", "%%python3 - {n}\nimport sys\nprint(sys.argv[1:])"], "['3']\n"),
        (["%%sx\necho a"], "['a']\n"),
        (["%%sx --out lines\necho a", "print(lines.n)"], "a\n"),
    ],
)
def test_a_script_gets_its_arguments_and_gives_its_results(codes, shown):
    assert runs(*codes) == shown

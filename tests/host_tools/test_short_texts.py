"""Short texts become memory that goes with its module, and stay what they were."""

import ast

from sluice.short_texts import ShortTexts, any_text, nameless


def made(source, choose=nameless):
    return ast.unparse(ShortTexts(choose).visit(ast.parse(source)))


def test_text_for_people_is_taken_from_bytes_when_it_would_be_a_name():
    assert made("log('not kept')") == "log(b'not kept'.decode())"
    assert made("log('01234567 89')") == "log('01234567 89')", "eleven characters are no name"
    assert made("log('kept')") == "log('kept')", "it may be somebody's name"


def test_text_that_must_stay_one_stays():
    assert made("'''a b'''\nx = 1") == "'''a b'''\nx = 1".replace("'''", '"""')
    assert made("x = f'a b{c}'") == "x = f'a b{c}'"
    assert made("x = b'a b'") == "x = b'a b'"


def test_text_is_the_same_afterwards():
    for source in ("'no path'", "'é è'", "'%s; %s' % (1, 2)", "'a b' 'c'"):
        assert eval(made("x = " + source)[4:]) == eval(source)


def test_model_has_all_its_short_texts_taken_from_bytes_but_those_that_are_built_in():
    assert made("f('kept', 'k', '__name__')", any_text) == ("f(b'kept'.decode(), 'k', '__name__')")

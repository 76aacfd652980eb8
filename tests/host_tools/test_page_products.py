"""docs/products.md, its order word for word: a board becomes a gateway, and takes an image."""

from pages import Reader, blocks, lines

from sluice.compile import ROOT

PAGE = (ROOT / "docs/products.md").read_text()


def test_order_of_the_page_ends_in_a_gateway_with_the_new_image(reader: Reader):
    for text in blocks(PAGE, "sh"):
        said = [reader.does(line) for line in lines(text)]
    assert said[-1].splitlines()[-1] == "ok"

"""docs/local-cloud.md, word for word: it ends in an update, and boto3 finds the same cloud."""

from pages import Reader, blocks, lines

from sluice.compile import ROOT

PAGE = (ROOT / "docs/local-cloud.md").read_text()
ASKED = "import boto3; print(boto3.client('iot').list_things()['things'][0]['thingName'])"


def test_page_leads_to_an_update_and_to_variables_for_boto3(reader: Reader):
    printed = [reader.does(line) for text in blocks(PAGE, "sh") for line in lines(text)]
    assert "SUCCEEDED accepted v1.1.0" in "".join(printed)
    assert reader.does(f'python -c "{ASKED}"') == "pump\n"

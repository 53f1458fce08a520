"""Names and formulas with markup and code in them are shown as text, wherever they come from."""

import ast
import io

import pytest
from rich.console import Console

import jaxloss
from jaxloss.report.notebook import results_html
from jaxloss.report.table import print_summary
from jaxloss.symbolic.describe import describe
from jaxloss.symbolic.frameworks.registry import DIALECTS
from jaxloss.symbolic.frameworks.write import write
from tests.report.finished_run import summary_of

CODE = 'found """\nimport os; os.system("true")\n""" <script>alert(1)</script> \\" \' \\N{x}'
MARKUP = "[bold]<script>alert(1)</script>[/nothing]"


@pytest.mark.parametrize("framework", ["python", *DIALECTS])
def test_what_is_said_of_a_loss_is_no_code(framework):
    description = describe([jaxloss.parse("Neg(Mul(target, Log(prediction)))").reading])[0]
    text = description.python(CODE) if framework == "python" else write(description, DIALECTS[framework], CODE)
    module = ast.parse(text)
    assert "os.system" in ast.get_docstring(module)
    assert not [node for node in ast.walk(module) if isinstance(node, ast.Attribute) and node.attr == "system"]


def test_a_metric_with_markup_in_its_name():
    summary = {**summary_of("search"), "metric": MARKUP}
    console = Console(file=io.StringIO(), highlight=False, width=160)
    print_summary(summary, console)
    assert MARKUP in console.file.getvalue()
    assert "<script>" not in results_html("run", summary, [])

import jinja2
import pytest

from hwmodels.code_templates import rendered


def test_nothing_is_escaped_and_one_line_end_follows(tmp_path, monkeypatch):
    package = tmp_path / "some_package"
    (package / "templates").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "templates" / "page.html").write_text(
        "\n{% if wide %}\n  a {{ sign }} b\n{% endif %}\n\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert rendered("page.html", "some_package", sign="<&>", wide=True) == "a <&> b\n"
    assert rendered("relu.v", "some_package", "hwmodels.rtl", module="m", ports=(), width=4).startswith("//")


def test_a_missing_name_or_template_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        rendered("relu.v", "hwmodels.rtl")
    with pytest.raises(jinja2.TemplateNotFound, match="no_such"):
        rendered("no_such.v", "hwmodels.rtl")

"""study.toml: what is written reads back, and every mistake is named with what is allowed."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dse.config import CONFIG_NAME, STUDY_VERSION, StudyConfig, check_config, load_config, render_config
from dse.errors import StudyError
from dse.menus import arithmetics_of
from emulation.datapaths import Product


def test_defaults_are_all_written_and_read_back():
    text = render_config(StudyConfig())
    content = tomllib.loads(text)
    assert check_config(content, source="here") == StudyConfig()
    for name in StudyConfig.model_fields:
        if name != "version":
            section = getattr(StudyConfig(), name)
            assert set(content[name]) == set(type(section).model_fields)


def test_every_setting_is_explained_on_the_line_above():
    lines = render_config(StudyConfig()).splitlines()
    keys = [index for index, line in enumerate(lines) if " = " in line and not line.startswith("#")]
    assert len(keys) > 20
    assert all(lines[index - 1].startswith("# ") for index in keys if not lines[index].startswith("version"))


names = some.sampled_from(["int2", "int8", "e4m3fn", "fixed<8,4>", "e2m1", "uint5", "mxfp4", "bfp6/16"])


@given(
    workload=some.text(max_size=30).filter(lambda text: "\x00" not in text),
    weights=some.lists(names, min_size=1, unique=True),
    mixed=some.booleans(),
    clock=some.floats(1e-3, 1e6),
    unit=some.floats(1e-12, 1.0),
)
def test_any_settings_read_back_as_they_were(workload, weights, mixed, clock, unit):
    config = check_config(
        {
            "network": {"workload": workload},
            "formats": {"weights": weights, "activations": weights, "mixed_families": mixed},
            "device": {"clock_mhz": clock},
            "front": {"loss_unit": unit},
        },
        source="here",
    )
    assert check_config(tomllib.loads(render_config(config)), source="here") == config


@given(
    products=some.lists(some.sampled_from([product.value for product in Product]), min_size=1, unique=True),
    accumulators=some.lists(some.sampled_from(["exact", "int20 wrap", "e5m10 chunk 4"]), min_size=1, unique=True),
)
def test_any_arithmetic_reads_back_as_it_was(products, accumulators):
    settings = {"arithmetic": {"products": products, "accumulators": accumulators}}
    config = check_config(settings, source="here")
    assert check_config(tomllib.loads(render_config(config)), source="here") == config
    assert len(arithmetics_of(config.arithmetic)) == len(products) * len(accumulators)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[front]\nsolve = 3", ["[front] solve is not a setting", "did you mean solves?"]),
        ("[fromt]\nsolves = 3", ["fromt is not a setting", "did you mean front?"]),
        ("[device]\nzzz = 3", ["[device] zzz is not a setting", "allowed are name, clock_mhz, min_fps"]),
        ('[front]\nsolves = "many"', ["[front] solves = 'many' is not allowed", "integer"]),
        ("[front]\nsolves = 60.0", ["[front] solves = 60.0 is not allowed", "integer"]),
        ("[front]\nmax_lanes = true", ["[front] max_lanes = True is not allowed", "integer"]),
        ('[formats]\nmixed_families = "yes"', ["[formats] mixed_families = 'yes' is not allowed", "boolean"]),
        ("[front]\nsolves = 2", ["[front] solves = 2 is not allowed", "greater than or equal to 3"]),
        ("[device]\nclock_mhz = inf", ["[device] clock_mhz = inf is not allowed", "finite"]),
        ("[device]\nmin_fps = nan", ["[device] min_fps = nan is not allowed", "finite"]),
        ("[front]\nloss_unit = 1e-300", ["[front] loss_unit = 1e-300 is not allowed", "0.000000000001"]),
        (
            "[front]\nworst_loss = 0",
            ["[front] worst_loss = 0 is not allowed", 'a share above 0, such as 0.1, or "off"'],
        ),
        ('[front]\nworst_loss = "on"', ["[front] worst_loss = 'on' is not allowed", 'or "off"']),
        ("[front]\nworst_loss = true", ["[front] worst_loss = True is not allowed", 'or "off"']),
        ('[formats]\nweights = ["int4", "float7"]', ["[formats] weights", "'float7' is not a format", "intN"]),
        ('[formats]\nweights = ["int0"]', ["[formats] weights", "width must be 1 to 64 bits, got 0"]),
        ('[formats]\nweights = ["int4", "int4"]', ["[formats] weights", "listed twice"]),
        ('[formats]\nweights = ["int4", "INT4"]', ["[formats] weights", "listed twice"]),
        ("[formats]\nactivations = []", ["[formats] activations = [] is not allowed", "at least 1"]),
        ("[formats]\nactivations = [4]", ["[formats] activations.0 = 4 is not allowed", "string"]),
        ('[formats]\noutput = "int99"', ["[formats] output", "1 to 64 bits"]),
        ('[formats]\nweight_range = "most"', ["[formats] weight_range", "'most' is no range rule", "99.9%"]),
        ('[formats]\nweight_range = "0%"', ["'0%' is no range rule", "abs-max"]),
        ('[formats]\nactivation_range = "99"', ["[formats] activation_range", "'99' is no range rule"]),
        ('[formats]\nactivation_range = "nan%"', ["'nan%' is no range rule"]),
        ('[formats]\nweight_scales = "row"', ["[formats] weight_scales = 'row' is not allowed", "'channel'"]),
        (
            '[formats]\nweights = ["int4"]\nactivations = ["e4m3fn"]',
            ["no weight format", "mixed_families = true"],
        ),
        ("network = 3", ["network = 3 is not allowed"]),
        ("version = 0", ["version = 0 is not allowed"]),
        ('version = "2"', ["version = '2' is not allowed", "integer"]),
        (f"version = {STUDY_VERSION + 1}", [f"has version {STUDY_VERSION + 1}", "install a newer bitfront"]),
        (f"version = {STUDY_VERSION + 1}\n[new]\nkey = 1", ["install a newer bitfront"]),
        ("[front\n", ["cannot be read as TOML"]),
    ],
)
def test_mistakes_are_named(tmp_path, text, words):
    path = tmp_path / CONFIG_NAME
    path.write_text(text)
    with pytest.raises(StudyError) as raised:
        load_config(path)
    message = str(raised.value)
    assert str(path) in message
    assert [word for word in words if word not in message] == [], message


def test_all_mistakes_of_a_file_are_named_at_once(tmp_path):
    path = tmp_path / CONFIG_NAME
    path.write_text("[front]\nsolves = 1\n[device]\nclok_mhz = 3\n")
    with pytest.raises(StudyError, match=r"clok_mhz is not a setting; did you mean clock_mhz\?; .*solves = 1 "):
        load_config(path)


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(StudyError, match=r"does not exist: make a study with `bitfront init FOLDER`"):
        load_config(tmp_path / CONFIG_NAME)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / CONFIG_NAME
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StudyError, match="cannot be read as TOML"):
        load_config(path)

import subprocess
import sys
import typing

import pytest

from core.constants import BackboneName
from core.errors import ConfigError
from core.models.backbone_table import BACKBONES, backbone_spec, check_input_size


def test_table_and_config_name_the_same_backbones():
    assert tuple(BACKBONES) == typing.get_args(BackboneName)


def test_the_table_holds_the_fourteen_of_the_method():
    assert set(BACKBONES) == {
        "alexnet", "vgg16_bn", "resnet50", "resnext50_32x4d", "googlenet", "inception_v3",
        "densenet121", "efficientnet_v2_s", "mobilenet_v3_large", "convnext_small", "mnasnet1_3",
        "shufflenet_v2_x2_0", "swin_s", "regnet_y_8gf",
    }  # fmt: skip


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"'resnet5'.*resnet50.*googlenet"):
        backbone_spec("resnet5")


@pytest.mark.parametrize("name", list(BACKBONES))
@pytest.mark.parametrize("size", [160, 192, 256, 512])
def test_every_backbone_takes_the_usual_sizes(name, size):
    check_input_size(name, size)


@pytest.mark.parametrize(
    ("name", "size", "says"),
    [
        ("inception_v3", 64, "at least 75 pixels, but size is 64"),
        ("alexnet", 62, "at least 63 pixels"),
        ("resnet50", 31, "at least 32 pixels"),
        ("convnext_small", 200, "multiple of 32 pixels, but size is 200; set `size` to 192 or 224"),
        ("swin_s", 130, "set `size` to 128 or 132"),
    ],
)
def test_an_invalid_size_suggests_a_valid_one(name, size, says):
    with pytest.raises(ConfigError, match=says):
        check_input_size(name, size)


def test_reading_the_table_does_not_import_torch():
    code = "import sys, core.models.backbone_table; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

import subprocess
import sys

import pytest


@pytest.mark.parametrize("package", ["graphret.encoders", "graphret.training"])
def test_importing_the_package_does_not_import_torch(package):
    code = (
        f"import sys, {package}; from graphret.encoders import list_encoders, encoder_spec; "
        "assert [encoder_spec(n) for n in list_encoders()]; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'torchvision', 'accelerate', 'torchmetrics')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_importing_graphret_does_not_import_training():
    code = "import sys, graphret; sys.exit('graphret.training' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

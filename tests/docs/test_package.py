"""What a package of graphret carries: the types, the addresses, and everything that the tests and CI need."""

import tomllib

from documents import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_types_and_addresses_come_along():
    assert (ROOT / "graphret" / "py.typed").is_file()
    assert "Typing :: Typed" in PROJECT["project"]["classifiers"]
    assert {"Homepage", "Documentation", "Repository", "Changelog"} <= set(PROJECT["project"]["urls"])


def test_the_source_package_is_whole():
    include = PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert {"CONTRIBUTING.md", "mkdocs.yml", ".ci", "docs", "tests", "benchmarks", "data_specs"} <= set(include)
    assert all((ROOT / name).exists() for name in include)


def test_ci_builds_the_site_and_runs_the_readme_s_test_command():
    steps = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "mkdocs build --strict" in steps
    assert ",docs" in steps
    assert "pytest" in steps.splitlines()
    assert 'pip install -e ".[cpu,xray,compare,test]" && pytest' in (ROOT / "README.md").read_text(encoding="utf-8")

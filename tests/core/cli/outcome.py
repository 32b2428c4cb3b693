"""What a refused command leaves."""


def assert_one_sentence(outcome):
    status, _, errors = outcome
    last = [line for line in errors.splitlines() if line.startswith("Error: ")]
    assert status == 2
    assert len(last) == 1
    assert "Traceback" not in errors
    assert last[0].endswith(".")

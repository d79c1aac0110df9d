import pytest

from examples.demo import table
from examples.demo.terminal import Terminal, duration, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00082, "820 µs"), (0.0123, "12.3 ms"), (1.2, "1.20 s"), (59.9, "59.90 s"), (125, "2 min 5 s")],
)
def test_a_duration_reads_in_the_unit_that_fits(seconds, text):
    assert duration(seconds) == text


def test_bytes_become_kibibytes_only_when_there_are_many():
    assert (size(24), size(9_999), size(20_480)) == ("24 B", "9999 B", "20.0 KiB")


def test_columns_of_a_table_are_as_wide_as_their_widest_cell_and_lines_end_at_the_terminal():
    assert table.render(("A", "B"), [("long", "x")], width=80) == "A      B\nlong   x"
    assert table.render(("A",), [("much too long",)], width=6).splitlines()[1] == "much …"


def test_a_step_tells_what_ran_how_far_it_is_and_how_it_ended_where_output_is_a_file(capsys):
    terminal = Terminal()
    with terminal.step("pods start") as step:
        step.note("1 of 3")
        step.note("1 of 3")
    with pytest.raises(RuntimeError), terminal.step("pods stop"):
        raise RuntimeError("no")
    out = capsys.readouterr().out
    assert out.count("1 of 3") == 1
    assert "✓ pods start  " in out
    assert "✗ pods stop failed" in out

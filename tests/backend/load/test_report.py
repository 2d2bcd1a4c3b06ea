"""A client's report is read whatever else its log holds, and nothing is made up where it says nothing."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from backend.emulator.serving import bench
from backend.load.report import Latency, cause, errors, parse

NAMES = {
    "Successful requests:": "successful",
    "Benchmark duration (s):": "duration_s",
    "Total input tokens:": "prompt_tokens",
    "Total generated tokens:": "generated_tokens",
    "Request throughput (req/s):": "requests_per_s",
    "Output token throughput (tok/s):": "tokens_per_s",
}
LATER = ("Request rate configured (RPS):", "Peak output token throughput (tok/s):", "Peak concurrent requests:")
counts = st.integers(0, 10**7)
figures = st.integers(1, 10**9).map(lambda hundredths: hundredths / 100)
noise = st.lists(st.text(st.characters(exclude_characters="=\n\r:", exclude_categories=["Cs"])).map(str.strip))


def printed(values: Mapping[str, float], *, failed: int | None, later: bool) -> str:
    """The table as vLLM prints it: 40 columns for the name, figures to two places."""
    lines = [" Serving Benchmark Result ".center(50, "=")]
    for name, field in NAMES.items():
        value = values[field]
        lines.append(f"{name:<40} {value:<10}" if isinstance(value, int) else f"{name:<40} {value:<10.2f}")
        if name == "Successful requests:" and failed is not None:
            lines.append(f"{'Failed requests:':<40} {failed:<10}")
    lines += [f"{name:<40} {7.5:<10.2f}" for name in LATER if later]
    for title, name in (("Time to First Token", "TTFT"), ("Inter-token Latency", "ITL")):
        lines.append(title.center(50, "-"))
        lines += [f"{kind + ' ' + name + ' (ms):':<40} {values[name]:<10.2f}" for kind in ("Mean", "Median", "P99")]
    return "\n".join([*lines, "=" * 50])


@given(
    st.fixed_dictionaries(
        {
            "successful": counts,
            "duration_s": figures,
            "prompt_tokens": counts,
            "generated_tokens": counts,
            "requests_per_s": figures,
            "tokens_per_s": figures,
            "TTFT": figures,
            "ITL": figures,
        }
    ),
    st.none() | counts,
    st.booleans(),
    noise,
    noise,
)
def test_what_is_printed_is_read(
    values: dict[str, float], failed: int | None, later: bool, before: list[str], after: list[str]
) -> None:
    log = "\n".join([*before, printed(values, failed=failed, later=later), *after])
    report = parse(log)
    assert report is not None
    assert {field: getattr(report, field) for field in NAMES.values()} == {
        name: values[name] for name in NAMES.values()
    }
    assert report.failed == failed
    assert report.ttft == Latency(*[values["TTFT"] / 1000] * 3)
    assert report.inter_token == Latency(*[values["ITL"] / 1000] * 3)
    assert report.per_token == Latency(None, None, None)


@given(st.text())
def test_a_log_without_the_table_has_no_report(log: str) -> None:
    assert parse(log.replace("Benchmark", "")) is None


@given(st.text(), st.text())
def test_any_table_is_read_or_is_not_and_never_fails(name: str, value: str) -> None:
    log = (
        f"==== Serving Benchmark Result ====\nSuccessful requests:  {value}\nBenchmark duration (s): 3\n{name}: {value}"
    )
    report = parse(log)
    assert report is None or report.successful == int(float(value))


def test_the_last_of_several_reports_counts() -> None:
    figures = dict.fromkeys([*NAMES.values(), "TTFT", "ITL"], 1)
    first = printed(figures, failed=None, later=False)
    second = printed(figures | {"successful": 2}, failed=None, later=False)
    report = parse(f"{first}\n{second}")
    assert report is not None and report.successful == 2


def test_a_table_that_breaks_off_is_no_report() -> None:
    assert (
        parse(" Serving Benchmark Result ".center(50, "=") + "\nSuccessful requests:                     12\n") is None
    )


def test_what_is_no_number_is_unknown() -> None:
    figures = dict.fromkeys([*NAMES.values(), "TTFT", "ITL"], 1)
    report = parse(printed(figures | {"TTFT": float("nan")}, failed=0, later=True))
    assert report is not None
    assert report.ttft == Latency(None, None, None)


def test_the_emulated_clients_report_is_read() -> None:
    answers = [bench.Answer(True, "", 0.25, 1.25, [0.1, 0.2], 4000, 11), bench.Answer(error="503 Service Unavailable")]
    lines: list[str] = ["error: 503 Service Unavailable"]
    bench.report(answers, 2.0, lines.append)
    report = parse("\n".join(lines))
    assert report is not None
    assert (report.successful, report.failed, report.duration_s) == (1, None, 2.0)
    assert (report.prompt_tokens, report.generated_tokens) == (4000, 11)
    assert report.ttft == Latency(0.25, 0.25, 0.25)
    assert report.per_token == Latency(0.1, 0.1, 0.1)
    assert errors("\n".join(lines)) == ("503 Service Unavailable",)


def test_errors_are_told_once_each() -> None:
    log = "Error 0: Service Unavailable\nError 1: Service Unavailable\nError 2: Gateway Timeout\n"
    assert errors(log) == ("Service Unavailable", "Gateway Timeout")


def test_a_known_failure_is_explained() -> None:
    log = "RuntimeError: Failed to infer device type, please set the environment variable"
    assert cause(log) == "this version of vLLM's client does not start on a node without a GPU"
    assert cause("Segmentation fault") is None

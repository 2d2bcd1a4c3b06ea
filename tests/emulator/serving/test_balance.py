"""Which region and which Pod a request is sent to."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from backend.emulator.serving.balance import Gauge, PodLoad, Terms, fullness, ranked, region_for, saturated

KV = Terms(mode="CUSTOM_METRICS", gauges=(Gauge(8000, "/metrics", "kv", 0.6),))
FLIGHT = Terms(mode="IN_FLIGHT", max_in_flight=10)
WEST, EAST = "europe-west3", "us-east4"


def pod(region: str, terms: Terms = KV, *, kv: float | None = None, in_flight: float = 0, name: str = "") -> PodLoad:
    return PodLoad(
        address=name or f"127.0.0.1:{8000 + len(region)}",
        cluster=region,
        region=region,
        terms=terms,
        in_flight=in_flight,
        utilisation={} if kv is None else {"kv": kv},
    )


def test_the_nearest_region_is_filled_to_the_target_before_the_next() -> None:
    assert region_for([WEST, EAST], [pod(WEST, kv=0.59), pod(EAST, kv=0.0)]) == WEST
    assert region_for([WEST, EAST], [pod(WEST, kv=0.61), pod(EAST, kv=0.0)]) == EAST
    assert region_for([EAST, WEST], [pod(WEST, kv=0.61), pod(EAST, kv=0.0)]) == EAST


def test_a_region_is_as_full_as_its_pods_on_average() -> None:
    assert fullness([pod(WEST, kv=0.9), pod(WEST, kv=0.0)]) == 0.75
    assert region_for([WEST, EAST], [pod(WEST, kv=0.9), pod(WEST, kv=0.0), pod(EAST, kv=0.0)]) == WEST


def test_where_all_are_full_the_least_full_takes_more() -> None:
    assert region_for([WEST, EAST], [pod(WEST, kv=0.9), pod(EAST, kv=0.7)]) == EAST


def test_without_data_balancing_is_blind() -> None:
    assert fullness([pod(WEST)]) is None
    assert region_for([WEST, EAST], [pod(WEST), pod(EAST, kv=0.0)]) == WEST


def test_requests_under_way_are_counted_in_the_other_mode() -> None:
    near, far = pod(WEST, FLIGHT, in_flight=9, kv=1.0), pod(EAST, FLIGHT)
    assert region_for([WEST, EAST], [near, far]) == WEST
    assert region_for([WEST, EAST], [replace(near, in_flight=10), far]) == EAST


def test_a_limit_of_almost_nothing_is_full_with_the_first_request() -> None:
    least = Terms(mode="IN_FLIGHT", max_in_flight=5e-324, scaler=0.5)
    assert region_for([WEST, EAST], [pod(WEST, least, in_flight=1), pod(EAST, FLIGHT)]) == EAST


def test_a_rate_limits_only_where_one_is_given() -> None:
    limited = replace(pod(WEST, Terms(max_rate=5)), rate=5)
    assert region_for([WEST, EAST], [limited, pod(EAST, Terms())]) == EAST
    assert region_for([WEST, EAST], [replace(limited, terms=Terms()), pod(EAST, Terms())]) == WEST


def test_a_capacity_of_half_is_full_at_half_the_target_and_none_drains() -> None:
    half = replace(KV, scaler=0.5)
    assert region_for([WEST, EAST], [pod(WEST, half, kv=0.31), pod(EAST, kv=0.0)]) == EAST
    drained = replace(KV, scaler=0.0)
    assert region_for([WEST, EAST], [pod(WEST, drained, kv=0.0), pod(EAST, kv=1.0)]) == EAST
    assert region_for([WEST, EAST], [pod(WEST, drained), pod(EAST, drained)]) is None
    assert region_for([WEST, EAST], []) is None


def test_preferred_backends_are_filled_first() -> None:
    preferred = replace(KV, preferred=True)
    assert region_for([WEST, EAST], [pod(WEST, kv=0.0), pod(EAST, preferred, kv=0.5)]) == EAST
    assert region_for([WEST, EAST], [pod(WEST, kv=0.0), pod(EAST, preferred, kv=0.7)]) == WEST


def test_the_pod_with_the_shorter_queue_and_the_freer_cache_and_the_known_prefix_is_first() -> None:
    one = PodLoad("a:1", WEST, WEST, KV, waiting=4, cache=0.2)
    other = PodLoad("b:1", WEST, WEST, KV, waiting=0, cache=0.2)
    assert ranked([one, other]) == [other, one]
    assert ranked([replace(one, waiting=0, cache=0.1), other])[0].address == "a:1"
    assert ranked([replace(one, waiting=0, prefix=1.0), other])[0].address == "a:1"
    assert ranked([replace(one, waiting=0, in_flight=3), other])[0].address == "b:1"


def test_a_cluster_is_saturated_when_each_of_its_pods_is() -> None:
    busy = PodLoad("a:1", WEST, WEST, KV, waiting=5)
    assert saturated([busy, replace(busy, waiting=0, cache=0.8)])
    assert not saturated([busy, replace(busy, waiting=4, cache=0.79)])


loads = st.lists(
    st.builds(
        PodLoad,
        address=st.sampled_from(["a:1", "b:1", "c:1"]),
        cluster=st.just("c"),
        region=st.sampled_from([WEST, EAST, "asia-east1"]),
        terms=st.builds(
            Terms,
            mode=st.sampled_from(["RATE", "IN_FLIGHT", "CUSTOM_METRICS"]),
            gauges=st.just(KV.gauges),
            max_in_flight=st.none() | st.floats(0, 100),
            max_rate=st.none() | st.floats(0, 100),
            scaler=st.floats(0, 1),
            preferred=st.booleans(),
        ),
        in_flight=st.floats(0, 1000),
        rate=st.floats(0, 1000),
        utilisation=st.none() | st.dictionaries(st.just("kv"), st.floats(0, 1)),
    ),
    max_size=6,
)


@given(loads)
def test_a_request_always_goes_somewhere_that_is_not_drained(pods: list[PodLoad]) -> None:
    region = region_for([WEST, EAST, "asia-east1"], pods)
    open_regions = {each.region for each in pods if each.terms.scaler > 0}
    assert region in open_regions if open_regions else region is None

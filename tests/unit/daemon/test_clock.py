"""The daemon's clock: steps forward are believed, steps back are not, and drift is made up slowly."""

from hypothesis import given
from hypothesis import strategies as st

from mgate.daemon.clock import SLEW, STEP, SteadyClock


class Machine:
    """A machine whose wall clock somebody sets."""

    def __init__(self) -> None:
        self.up = 1_000.0
        self.offset = 1_790_000_000.0

    def pass_time(self, seconds: float) -> None:
        self.up += seconds

    def system(self) -> float:
        return self.up + self.offset

    def steady(self) -> float:
        return self.up


def clock_of(machine: Machine) -> SteadyClock:
    return SteadyClock(machine.system, machine.steady)


def test_it_goes_with_the_system_s_clock() -> None:
    machine = Machine()
    clock = clock_of(machine)
    machine.pass_time(17.5)
    assert clock.look() == 0.0
    assert clock.now() == machine.system()


def test_a_step_forward_is_followed_at_once_and_told_once() -> None:
    machine = Machine()
    clock = clock_of(machine)
    machine.offset += 3_600.0
    assert clock.now() == machine.system()
    assert clock.look() == 3_600.0
    assert clock.look() == 0.0


def test_a_step_back_is_not_followed_and_its_size_is_known() -> None:
    machine = Machine()
    clock = clock_of(machine)
    machine.offset -= 7_200.0
    clock.look()
    machine.pass_time(60.0)
    clock.look()
    assert clock.now() == machine.system() + 7_200.0
    assert clock.behind == 7_200.0


def test_a_step_back_that_is_taken_back_leaves_nothing_behind() -> None:
    machine = Machine()
    clock = clock_of(machine)
    machine.offset -= 7_200.0
    clock.look()
    machine.offset += 7_200.0
    assert clock.look() == 0.0
    assert clock.behind == 0.0


def test_drift_is_made_up_slowly() -> None:
    machine = Machine()
    clock = clock_of(machine)
    machine.offset -= 0.5
    for _ in range(100):
        machine.pass_time(1.0)
        clock.look()
    assert abs(clock.now() - machine.system() - (0.5 - 100 * SLEW)) < 0.001


@given(st.lists(st.tuples(st.floats(0.0, 10.0), st.floats(-10_000.0, 10_000.0)), max_size=30))
def test_it_never_steps_back(moves: list[tuple[float, float]]) -> None:
    machine = Machine()
    clock = clock_of(machine)
    last = clock.now()
    for passed, step in moves:
        machine.pass_time(passed)
        machine.offset += step
        clock.look()
        assert clock.now() >= last - 1e-6
        assert clock.now() >= machine.system() - 1e-6
        assert abs(clock.now() - machine.system() - clock.behind) <= STEP + 1e-6
        last = clock.now()

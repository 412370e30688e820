"""Whose turn it is: fair between people, kind to the model in memory, and nobody is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quart_chat.chat.turns import STREAK, Ticket, Turns, etas
from quart_chat.entities import Generation

Move = tuple[str, str, int]
MOVES = st.lists(
    st.tuples(st.sampled_from(["ask", "ask", "take", "leave"]), st.sampled_from("abcd"), st.integers(0, 2)),
    max_size=60,
)


def ticket(person: str, model: str = "m", name: str = "") -> Ticket:
    return Ticket(
        Generation(
            id=name or person,
            session_id="s",
            user_id="u",
            person=person,
            message_id="x",
            model=model,
            created_at=1,
        )
    )


def served(turns: Turns) -> list[str]:
    names = []
    while (next_one := turns.take()) is not None:
        names.append(next_one.id)
    return names


def filled(*people: str, models: dict[str, str] | None = None) -> Turns:
    turns = Turns()
    for number, person in enumerate(people, 1):
        name = f"{person}{sum(p == person for p in people[:number])}"
        turns.add(ticket(person, (models or {}).get(name, "m"), name))
    return turns


def test_questions_of_one_person_are_answered_in_their_order() -> None:
    assert served(filled("a", "a", "a")) == ["a1", "a2", "a3"]


def test_who_asks_for_the_first_time_is_before_the_second_question_of_anybody() -> None:
    assert served(filled("a", "a", "a", "b", "b", "c")) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_that_holds_while_a_question_of_the_busy_person_is_being_answered() -> None:
    turns = filled("a", "a", "a")
    assert turns.take() is not None
    turns.add(ticket("b", name="b1"))
    assert served(turns) == ["b1", "a2", "a3"]


def test_the_model_in_memory_goes_first_but_only_a_few_times_and_by_one_round() -> None:
    turns = Turns()
    turns.add(ticket("z", "in memory", "z1"))
    assert turns.take() is not None
    turns.add(ticket("a", "other", "a1"))
    for number in range(STREAK + 2):
        turns.add(ticket(f"p{number}", "in memory", f"p{number}"))
    order = served(turns)
    assert 0 < order.index("a1") < STREAK
    assert order[0] == "p0"


def test_grouping_never_lets_a_later_round_overtake_by_more_than_one() -> None:
    turns = filled("x", "a", "a", "a", models={"x1": "m"})
    assert turns.take() is not None
    turns.add(ticket("b", "other", "b1"))
    order = served(turns)
    assert order.index("b1") <= 2


def test_who_gives_up_makes_room_for_the_rest_of_the_same_person() -> None:
    turns = filled("a", "a", "b", "b")
    gone = next(t for t in turns.waiting if t.id == "a1")
    turns.remove(gone)
    assert served(turns) == ["b1", "a2", "b2"] or served(turns) == []


def test_giving_up_gains_nothing_over_others() -> None:
    turns = filled("a", "b")
    for _ in range(5):
        mine = next(t for t in turns.waiting if t.id == "a1")
        turns.remove(mine)
        turns.add(ticket("a", name="a1"))
    assert served(turns) == ["b1", "a1"]


@given(MOVES)
def test_every_ticket_is_served_or_left_and_the_order_told_is_the_order_kept(moves: list[Move]) -> None:
    turns, added, gone, number = Turns(), set[str](), list[str](), 0
    for move, person, pick in moves:
        if move == "ask":
            number += 1
            turns.add(ticket(person, f"m{pick}", f"{person}{number}"))
            added.add(f"{person}{number}")
        elif move == "take" and turns.waiting:
            told = turns.order()[0].id
            taken = turns.take()
            assert taken is not None
            assert taken.id == told
            gone.append(taken.id)
        elif move == "leave" and turns.waiting:
            left = turns.waiting[pick % len(turns.waiting)]
            turns.remove(left)
            gone.append(left.id)
    told_order = [t.id for t in turns.order()]
    assert [t.id for t in turns.order()] == told_order, "asking changes nothing"
    gone += (rest := served(turns))
    assert rest == told_order
    assert sorted(gone) == sorted(added)


@given(MOVES, st.integers(1, 6))
def test_a_newcomer_waits_for_at_most_one_question_of_each_person_and_a_streak(moves: list[Move], busy: int) -> None:
    """However many questions others go on asking, the number of turns before a first question is bounded."""
    turns = Turns()
    for number, (move, person, pick) in enumerate(moves):
        if move == "ask":
            turns.add(ticket(person, f"m{pick}", f"{person}{number}"))
        elif move == "take":
            turns.take()
    turns.add(ticket("newcomer", "m9", "newcomer"))
    waited = 0
    while (taken := turns.take()) is not None and taken.id != "newcomer":
        waited += 1
        for number in range(busy):
            turns.add(ticket("abcd"[number % 4], f"m{waited % 3}", f"more{waited}.{number}"))
    assert taken is not None
    assert waited <= 4 * (STREAK + 2)


def test_etas_add_up_what_runs_and_what_waits_before() -> None:
    waiting = [ticket("a"), ticket("b"), ticket("c")]
    assert etas(waiting, [4.0], lambda _: 10.0, 1) == [4.0, 14.0, 24.0]
    assert etas(waiting, [4.0, 7.0], lambda _: 10.0, 2) == [4.0, 7.0, 14.0]
    assert etas(waiting, [], lambda _: 10.0, 1) == [0.0, 10.0, 20.0]


def test_etas_are_unknown_behind_what_was_never_measured() -> None:
    waiting = [ticket("a", "known"), ticket("b", "new"), ticket("c", "known")]
    duration = {"known": 5.0}.get
    assert etas(waiting, [1.0], lambda t: duration(t.model), 1) == [1.0, 6.0, None]
    assert etas(waiting, [None], lambda t: duration(t.model), 1) == [None, None, None]

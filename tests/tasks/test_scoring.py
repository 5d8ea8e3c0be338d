import pytest

from mnesis.tasks.stories.scoring import official, whole_word

ROOMS = ("bathroom", "bedroom", "garden", "hallway", "kitchen", "office")
YES_NO = ("no", "yes")
COUNTS = ("none", "one", "three", "two")
OBJECTS = ("apple", "football", "milk", "nothing")
PATHS = ("e,e", "e,n", "n,e", "s,w")


@pytest.mark.parametrize(
    ("output", "question", "answer", "choices", "right"),
    [
        ("kitchen", "Where is Mary?", "kitchen", ROOMS, True),
        (" The KITCHEN, I think. Not the office.", "Where is Mary?", "kitchen", ROOMS, True),
        ("kitchen or office", "Where is Mary?", "kitchen", ROOMS, False),
        ("bathroom bedroom garden hallway kitchen office", "Where is Mary?", "kitchen", ROOMS, False),
        ("before the office: kitchen", "Where was the milk before the office?", "kitchen", ROOMS, True),
        ("office", "Where was the milk before the office?", "kitchen", ROOMS, False),
        ("kitchen<example>office", "Where is Mary?", "kitchen", ROOMS, True),
        ("kitchen <context> office", "Where is Mary?", "kitchen", ROOMS, True),
        ("", "Where is Mary?", "kitchen", ROOMS, False),
        ("milk and apple", "What is John carrying?", "apple,milk", OBJECTS, True),
        ("milk, apple, football", "What is John carrying?", "apple,milk", OBJECTS, False),
        ("milk", "What is John carrying?", "apple,milk", OBJECTS, False),
        ("n,e", "How do you go from the hallway to the office?", "n,e", PATHS, True),
        ("n,e or s,w", "How do you go from the hallway to the office?", "n,e", PATHS, False),
        ("Mary", "Who gave the milk to Fred?", "mary", ("Fred", "Mary", "milk"), True),
    ],
)
def test_both_rules_agree(output: str, question: str, answer: str, choices: tuple[str, ...], right: bool):
    assert official(output, question, answer, choices) is right
    assert whole_word(output, question, answer, choices) is right


@pytest.mark.parametrize(
    ("output", "question", "answer", "choices"),
    [
        ("none", "How many objects is Mary carrying?", "none", COUNTS),
        ("yes, I know", "Is Mary in the kitchen?", "yes", YES_NO),
        ("kitchen, said the officer", "Where is Mary?", "kitchen", ROOMS),
    ],
)
def test_right_answers_that_the_official_rule_marks_wrong(
    output: str, question: str, answer: str, choices: tuple[str, ...]
):
    assert not official(output, question, answer, choices)
    assert whole_word(output, question, answer, choices)


def test_a_part_of_a_word_is_an_answer_only_officially():
    assert official("I do not know", "Is Mary in the kitchen?", "no", YES_NO)
    assert not whole_word("I do not know", "Is Mary in the kitchen?", "no", YES_NO)

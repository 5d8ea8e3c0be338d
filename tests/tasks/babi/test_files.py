import tarfile
import zipfile
from pathlib import Path

import pytest

from mnesis.tasks.stories.babi.files import TASK_NAMES, answer_choices, read_stories
from mnesis.tasks.stories.story import Story, StoryQuestion
from tests.real_data import DATA

CORPUS = DATA / "babi" / "tasks_1-20_v1-2.zip"
needs_corpus = pytest.mark.skipif(not CORPUS.exists(), reason=f"{CORPUS} is absent; set MNESIS_DATA to its data folder")

TEXT = (
    "1 Mary moved to the bathroom.\n"
    "2 John went to the hallway.\n"
    "3 Where is Mary? \tbathroom\t1\n"
    "4 Mary got the milk there.\n"
    "5 John took the apple.\n"
    "6 What is John carrying?\tApple,Milk\t5 4\n"
    "1 Sandra left the milk.\n"
    "2 Where is the milk? \tkitchen\t1\n"
)
STORIES = [
    Story(
        (
            "Mary moved to the bathroom.",
            "John went to the hallway.",
            "Mary got the milk there.",
            "John took the apple.",
        ),
        (
            StoryQuestion(2, "Where is Mary?", "bathroom", (0,)),
            StoryQuestion(4, "What is John carrying?", "apple,milk", (3, 2)),
        ),
    ),
    Story(("Sandra left the milk.",), (StoryQuestion(1, "Where is the milk?", "kitchen", (0,)),)),
]


@pytest.fixture
def folder(tmp_path):
    for variant, name in (
        ("en", "qa1_single-supporting-fact_train.txt"),
        ("en", "qa11_basic-coreference_train.txt"),
        ("en-valid", "qa1_valid.txt"),
    ):
        file = tmp_path / "tasks_1-20_v1-2" / variant / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(TEXT if "qa1_" in name else TEXT.replace("Mary", "Fred"))
    return tmp_path / "tasks_1-20_v1-2"


def archived(folder: Path, kind: str) -> Path:
    if kind == "folder":
        return folder
    if kind == "variant folder":
        return folder / "en"
    if kind == "txt":
        return folder / "en" / "qa1_single-supporting-fact_train.txt"
    path = folder.parent / f"corpus.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.rglob("*.txt"):
                archive.write(file, file.relative_to(folder.parent))
    else:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder, folder.name)
    return path


@pytest.mark.parametrize("kind", ["folder", "variant folder", "txt", "zip", "tar.gz"])
def test_every_kind_of_path_gives_the_same_stories(folder, kind):
    assert read_stories(archived(folder, kind), 1, "train", "en") == STORIES


def test_split_variant_and_task_choose_the_file(folder):
    assert read_stories(folder, 1, "valid", "en-valid") == STORIES
    assert read_stories(folder, 11, "train", "en")[0].sentences[0] == "Fred moved to the bathroom."


def test_slices_hold_what_was_told_before_the_question():
    slices = list(STORIES[0].slices())
    assert [len(piece.sentences) for piece in slices] == [2, 4]
    assert [piece.questions[0].answer for piece in slices] == ["bathroom", "apple,milk"]


@pytest.mark.parametrize("task", [0, 21, -1])
def test_task_numbers_end_at_twenty(task, folder):
    with pytest.raises(ValueError, match=f"task {task} is none of bAbI's, which are numbered 1 to 20"):
        read_stories(folder, task)
    with pytest.raises(ValueError, match="numbered 1 to 20"):
        answer_choices(task)


def test_missing_files_say_what_there_is(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist; give bAbI's tar\.gz"):
        read_stories(tmp_path / "nowhere", 1)
    with pytest.raises(FileNotFoundError, match=r"no 'test' file of task 1 in variant 'en'.*en-valid/qa1_valid\.txt"):
        read_stories(folder, 1, "test", "en")
    with pytest.raises(FileNotFoundError, match="no file of this task"):
        read_stories(folder, 2, "train", "en")


def test_file_of_another_task_or_kind(folder):
    with pytest.raises(ValueError, match="holds qa1, but task 2 was asked for; give task=1"):
        read_stories(archived(folder, "txt"), 2)
    other = folder / "notes.md"
    other.write_text(TEXT)
    with pytest.raises(ValueError, match="is no zip, tar archive, folder or"):
        read_stories(other, 1)


def test_two_copies_are_ambiguous(folder):
    copy = folder / "copy" / "en" / "qa1_single-supporting-fact_train.txt"
    copy.parent.mkdir(parents=True)
    copy.write_text(TEXT)
    with pytest.raises(ValueError, match="has 2 such files"):
        read_stories(folder, 1, "train", "en")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 Mary moved to the bathroom.\n2 John went home.\n", "holds no question line"),
        ("", "holds no question line"),
        ("Mary moved to the bathroom.\n", "line 1 of .* starts with 'Mary'.*here 1 or 1"),
        ("4 Mary moved to the bathroom.\n", "line 1 of .* starts with '4'"),
        ("1 Mary moved.\n3 Where is Mary?\tattic\t1\n", "line 2 of .* starts with '3', .* here 2 or 1"),
        ("1 Mary moved.\n2 Where is Mary?\tattic\n", "line 2 of .* has 2 fields"),
        ("1 Mary moved.\n2 Where is Mary?\t\t1\n", "line 2 of .* has 3 fields"),
        ("1\n", "line 1 of .* has 1 fields"),
        ("1 Mary moved.\n2 Where is Mary?\tattic\t7\n", "line 2 of .* is supported by line 7"),
        ("1 M.\n2 Where?\tattic\t1\n3 Where?\tattic\t2\n", "line 3 of .* is supported by line 2"),
        ("1 M.\n2 Where?\tattic\t1\n1 J.\n2 I.\n3 Where?\tattic\tx\n", "line 5 of .* is supported by line x"),
    ],
)
def test_malformed_files_name_the_line(tmp_path, text, message):
    file = tmp_path / "qa1_broken.txt"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_stories(file, 1)


def test_a_file_cut_within_a_story_keeps_what_is_there(tmp_path):
    file = tmp_path / "partial.txt"
    file.write_text(TEXT + "1 John went home.\n2 John left.")
    stories = read_stories(file, 1)
    assert stories[:2] == STORIES
    assert stories[2] == Story(("John went home.", "John left."), ())


@needs_corpus
@pytest.mark.parametrize("task", TASK_NAMES)
def test_real_files(task):
    for split, variant, expected in (
        ("train", "en", 1000),
        ("test", "en", {17: 504, 18: 504, 20: 508}.get(task, 500)),
        ("train", "en-10k", 1925 if task == 3 else 10000),
    ):
        stories = read_stories(CORPUS, task, split, variant)
        questions = [question for story in stories for question in story.questions]
        assert len(questions) == expected
        choices = set(answer_choices(task))
        for story in stories:
            assert story.questions[-1].after == len(story.sentences)
            for question in story.questions:
                assert question.text.endswith("?") or task == 20
                assert question.text == question.text.strip()
                items = question.answer.split(",") if task == 8 else [question.answer]
                assert choices.issuperset(items)
                assert question.supporting
                assert all(0 <= index < question.after for index in question.supporting)
        if variant == "en-10k":
            used = {item for q in questions for item in (q.answer.split(",") if task == 8 else [q.answer])}
            assert used == choices


@needs_corpus
def test_real_files_read_as_printed():
    story = read_stories(CORPUS, 1, "train", "en")[0]
    assert story.sentences[2] == "Daniel went back to the hallway."
    # line 6 of the file, which counts the question of line 3: "Where is Daniel? \thallway\t4"
    assert story.questions[1] == StoryQuestion(4, "Where is Daniel?", "hallway", (2,))
    assert len(read_stories(CORPUS, 3, "valid", "en-valid-10k")) == 200

"""The words and the sentence shapes of the generated background prose (:mod:`mnesis.tasks.language.prose`).

In a production a name of GRAMMAR is expanded, a name of LEXICON is filled with one of its words each time the sentence
is used, and anything else stands for itself. A production written twice is drawn twice as often; earlier words of a
list are drawn more often than later ones.

What keeps it free of bAbI facts: ``room`` and ``room_part`` are reached only through SCENE, and no SCENE follows "to",
"in", "into", "inside" or "from"; ``babi_object`` is never the object of a verb of taking, giving or dropping; only
nameless people go "to" a place.
"""

from __future__ import annotations

import re


def _words(text: str) -> list[str]:
    return text.split()


def _productions(text: str) -> list[str]:
    return [" ".join(production.split()) for production in text.split("|")]


def _article(word: str) -> str:
    return "an" if re.match("[aeio]|un|um|hon", word) else "a"


def _phrases(text: str) -> list[str]:
    return [phrase.strip() for phrase in text.split(",")]


_FORMS = [
    verb.split("/")
    for verb in _words(
        "watch/watched/watched follow/followed/followed find/found/found remember/remembered/remembered "
        "forget/forgot/forgotten hear/heard/heard describe/described/described paint/painted/painted "
        "admire/admired/admired notice/noticed/noticed mend/mended/mended study/studied/studied "
        "ignore/ignored/ignored praise/praised/praised examine/examined/examined draw/drew/drawn "
        "mention/mentioned/mentioned clean/cleaned/cleaned measure/measured/measured like/liked/liked "
        "consider/considered/considered recognise/recognised/recognised dislike/disliked/disliked "
        "inspect/inspected/inspected love/loved/loved despise/despised/despised hate/hated/hated"
    )
]
_PERSON_FORMS = [
    verb.split("/")
    for verb in _words(
        "meet/met/met thank/thanked/thanked greet/greeted/greeted trust/trusted/trusted forgive/forgave/forgiven "
        "blame/blamed/blamed warn/warned/warned question/questioned/questioned comfort/comforted/comforted "
        "pity/pitied/pitied flatter/flattered/flattered envy/envied/envied avoid/avoided/avoided "
        "interrupt/interrupted/interrupted deceive/deceived/deceived obey/obeyed/obeyed tease/teased/teased"
    )
]
_NOUN = _words(
    "lantern letter coat basket clock mirror violin hammer newspaper kettle blanket portrait map candle umbrella "
    "telescope ladder ribbon saddle chair ring shawl bottle drum teapot book key rope hat coin anchor compass "
    "parcel razor spoon trumpet diary notebook pillow pistol necklace wheelbarrow chessboard thimble barometer"
)
_ROLE = _words(
    "captain teacher widow merchant doctor stranger servant farmer lawyer sailor judge painter shepherd tailor priest "
    "soldier nurse gardener baker clerk blacksmith poet miller fisherman magistrate librarian coachman carpenter "
    "governess innkeeper apprentice schoolmaster colonel beggar musician housekeeper astronomer postman cousin uncle"
)
_ROOM = ["kitchen", "garden", "bedroom", "office", "hallway", "bathroom"]
_PLACE = _words(
    "village harbour church forest river market station mill bridge castle meadow valley library orchard lighthouse "
    "inn school shore quarry chapel monastery cottage tower barracks courtyard prison theatre farm cemetery ferry "
    "hospital lane crossroads vineyard marsh island museum parish mountain abbey"
)
_MANNER = _words(
    "slowly quietly suddenly gladly carefully often bitterly patiently kindly softly eagerly secretly reluctantly "
    "cheerfully solemnly awkwardly gracefully silently stubbornly nervously politely absently hastily boldly"
)
_ADJECTIVE = _words(
    "old small heavy bright narrow silent broken strange dark warm empty familiar beautiful dusty enormous pale "
    "crooked quiet wooden expensive foreign ancient faded rusty delicate solitary elegant ordinary useless "
    "forgotten curious splendid miserable unusual yellow crimson hollow ragged gloomy"
)
_TEMPER = _words(
    "young old tired proud honest cheerful impatient lonely clever stubborn gentle nervous famous elderly generous "
    "foolish timid jealous ambitious absent-minded weary talkative suspicious respectable idle"
)
_TOPIC = _words(
    "weather money marriage war music harvest voyage winter childhood politics religion debts justice fever "
    "inheritance philosophy sermon scandal election friendship astronomy poetry duel railway"
)

LEXICON: dict[str, list[str]] = {
    "Name": _words(
        "Elizabeth Mary Thomas John Margaret Daniel Henry Sandra Catherine Edward Charlotte Walter Harriet Oliver "
        "Beatrice Philip Rosamund Arthur Matilda George Cecilia Edmund Dorothy Nicholas Agatha Rupert Winifred Hugo"
    ),
    "role": _ROLE,
    "temper": _TEMPER,
    "a_role": [f"{_article(word)} {word}" for word in _ROLE],
    "a_temper": [f"{_article(word)} {word}" for word in _TEMPER],
    "noun": _NOUN,
    "adjective": _ADJECTIVE,
    "a_noun": [f"{_article(word)} {word}" for word in _NOUN],
    "an_adjective": [f"{_article(word)} {word}" for word in _ADJECTIVE],
    "babi_object": ["milk", "apple", "football"],
    "room": _ROOM,
    "place": _PLACE,
    "part": _phrases("door, window, wall, ceiling, key, smell, silence, floor, lock, size, corner, plan, roof"),
    "room_part": [f"{room} {part}" for room in _ROOM for part in ("door", "window", "wall", "clock", "lamp", "table")],
    "topic": _TOPIC,
    "manner": _MANNER,
    "degree": _words("very rather quite almost entirely too unusually hardly"),
    "past": [past for _, past, _ in _FORMS],
    "base": [base for base, _, _ in _FORMS],
    "participle": [participle for _, _, participle in _FORMS],
    "person_past": [past for _, past, _ in _PERSON_FORMS],
    "person_base": [base for base, _, _ in _PERSON_FORMS],
    "person_participle": [participle for _, _, participle in _PERSON_FORMS],
    "took": _phrases("took, dropped, left, grabbed, picked up, got, put down, discarded, bought, lost, sold, carried"),
    "went": _phrases("went, moved, travelled, journeyed, walked, hurried, rode, wandered, returned, ran, went back"),
    "going": _words("walking riding waiting working travelling looking wandering resting singing"),
    "rested": _words("slept laughed waited wept sang smiled worked prayed sighed stumbled trembled whistled nodded"),
    "time": _phrases(
        "in the evening, after supper, before dawn, that winter, at last, for many years, on Sundays, by midnight, "
        "during the storm, one morning, in those days, after a long silence, at the end of October, a week later, "
        "in the spring, toward noon, for a moment, all afternoon, on the eve of the fair, within the hour, "
        "some days afterwards, at the very beginning, long before the war, in the middle of the night"
    ),
    "mood": _words("happy angry ashamed ill silent afraid pleased alone late certain grateful hungry asleep honest"),
    "looked": _words("was seemed looked remained became felt appeared stayed grew"),
    "scene_did": _phrases(
        "lay under the snow, smelled of soap, had been painted green, was full of smoke, looked smaller than before, "
        "was lit by one candle, had always been cold, faced the sea, echoed with laughter, was never swept, "
        "seemed to belong to another century, stood empty all winter, was the pride of the family, needed repair, "
        "was crowded with visitors, had not changed since the wedding, glittered after the rain, was locked at night"
    ),
    "thing_did": _phrases(
        "shone faintly, was worth a fortune, had belonged to a sailor, fell apart, was missing again, cost too much, "
        "looked older than the house, was nowhere to be seen, gave no comfort, had lost its colour, cast a shadow, "
        "was wrapped in paper, hung by a thread, meant nothing to anyone, was cracked from end to end, trembled"
    ),
    "object_did": _phrases(
        "was spoiled, had cost too much, was nowhere to be found, looked perfectly ordinary, belonged to nobody, "
        "had been a present, was not worth a quarrel, smelled strange, was the last of its kind, tempted everyone"
    ),
    "weather_did": _phrases(
        "the rain had stopped, the wind was rising, the fog lifted, the moon came out, the bells were ringing, "
        "the snow lay deep, the tide turned, the lamps were lit, the crowd fell silent, the dogs began to bark, "
        "the clocks struck nine, the river rose, night was falling, the fire burned low, the horses grew restless"
    ),
    "said": _words("said answered whispered cried asked murmured replied repeated insisted shouted added muttered"),
    "thought": _words(
        "thought knew believed said feared hoped swore suspected noticed dreamed pretended wrote decided"
    ),
    "toward": _words("toward past beyond across through near behind along"),
    "beside": _words("near behind beyond beside above below outside opposite"),
    "because": _words("because although when while since until after before as though whenever"),
    "conjunction": _words("and but so yet for"),
    "modal": _words("could would might should must did"),
    "modal_not": _phrases("could not, would not, might never, did not, should never, must never, will not"),
    "frequency": _words("always never often seldom sometimes rarely already still once"),
    "number": _words("two three four five six seven nine ten eleven twelve twenty forty"),
    "nouns": [f"{noun}s" for noun in _NOUN if not noun.endswith(("s", "x", "y"))],
    "own": _words("his her their my our"),
    "exclaimed": _phrases("my dear, sir, madam, upon my word, in truth, I assure you, believe me, of course, no doubt"),
    "quarrel": _phrases("a quarrel, a rumour, a letter, the truth, a promise, a dream, an old debt, a song, a warning"),
}

GRAMMAR: dict[str, list[str]] = {
    "SENTENCE": _productions(
        """
        CLAUSE . | CLAUSE . | time , CLAUSE . | CLAUSE , conjunction CLAUSE . | because CLAUSE , CLAUSE . |
        CLAUSE because CLAUSE . | weather_did , and CLAUSE . | CLAUSE ; CLAUSE . | SPEECH | SPEECH | SPEECH |
        going beside SCENE , WHO ACT . | WHO , who had never participle THING , ACT . | it was WHO who ACT . |
        there was a_noun beside SCENE , and CLAUSE . |
        not only ADJECTIVE_THING but also SCENE made WHO feel mood . | time , when weather_did , CLAUSE . |
        few people at the place ever knew why WHO ACT .
        """
    ),
    "SPEECH": _productions(
        """
        " REMARK ," said WHO . | " REMARK ," said WHO manner , and CLAUSE . | " QUESTION ?" asked WHO . |
        " exclaimed ," said WHO , " REMARK ." | WHO said manner , " REMARK ." | " REMARK ," said WHO time . |
        " REMARK ; REMARK ," said WHO , as weather_did .
        """
    ),
    "REMARK": _productions(
        """
        I frequency base THING | you modal_not person_base WHOM | we modal base THING before it is too late |
        THE_THING thing_did | SCENE scene_did | they say that CLAUSE | I have never participle such a_noun |
        nobody can base THING better than WHOM | the topic has ruined more than one role | I am tired of the topic
        """
    ),
    "QUESTION": _productions(
        """
        have you ever participle THING | why modal I person_base WHOM | do you remember how WHO ACT |
        who told you that CLAUSE | what does WHO want with THING | is it true that CLAUSE
        """
    ),
    "CLAUSE": _productions(
        """
        WHO ACT | WHO ACT | WHO ACT | WHO ACT | SCENE scene_did | THE_THING thing_did | the babi_object object_did |
        the temper role went to the place | a_role went to the place with WHOM |
        WHO thought that SCENE scene_did | WHO thought that THE_THING thing_did |
        the topic frequency looked degree ADJECTIVE_ONLY | there were number nouns beside SCENE
        """
    ),
    "WHO": _productions(
        """
        Name | Name | Name | the role | the temper role | a_role | a_temper role | own role
        """
    ),
    "WHOM": _productions(
        """
        Name | Name | the role | the temper role | a_temper role | own role
        """
    ),
    "ACT": _productions(
        """
        past THING | past THING manner | had frequency participle THING | person_past WHOM | modal base THING |
        person_past WHOM time | went toward the place | went toward the place with WHOM | rested manner |
        looked degree mood | took the noun | took the adjective noun | took a_noun and a_noun | spoke of quarrel |
        spoke of the topic to WHOM | had frequency person_participle WHOM | modal_not person_base WHOM |
        modal_not base SCENE | rested beside SCENE | went beyond SCENE | dreamed of SCENE | past the babi_object |
        spoke of the babi_object | manner past THING | took number nouns | was stared at by WHOM |
        told WHOM that SCENE scene_did | asked WHOM about THING | took great pains over the topic
        """
    ),
    "THING": _productions(
        """
        THE_THING | THE_THING | a_noun | an_adjective noun | own noun | number nouns | SCENE | own topic
        """
    ),
    "THE_THING": _productions(
        """
        the noun | the adjective noun | the noun of WHOM | own adjective noun
        """
    ),
    "ADJECTIVE_THING": _productions(
        """
        the adjective noun | an_adjective noun
        """
    ),
    "ADJECTIVE_ONLY": _productions(
        """
        adjective
        """
    ),
    "SCENE": _productions(
        """
        the place | the place | the place | the adjective place | the adjective place | the room | the room_part |
        the part of the room | the part of the place | the place and the place | the adjective room
        """
    ),
}

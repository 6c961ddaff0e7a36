"""Texts that the checks accept, and the reasons for which they reject others."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.core.records import TextRejectReason
from personagen.builder.writing.checks import MAX_CHARACTERS, TextRules, Verdict, check_text
from personagen.builder.writing.replies.caseless import make_caseless
from personagen.metrics.texts.emotion_words import emotion_pattern
from personagen.metrics.texts.language import CHECKABLE_LANGUAGES
from personagen.metrics.texts.words import count_words

PROMPT = """Write as this person: 34 years old, nurse, lives alone in a small town.
What just happened to them: came home after a night shift and found the front door wide open.
Write what the person writes about it as a post, in the first person, in English, 8 to 60 words.
The text expresses fear. Let the reader sense it from what is told, thought and done; do not name it."""

GOOD = "Came home at six and the door was just standing there. I did not go in. I sat in the car until it was light."
LONG = f"I counted the knocks on the wall: {' '.join(map(str, range(70)))}."

REPLIES = [
    (GOOD, None),
    ("lol the bus drove off while i was knocking on the door, 40 mins till the next one", None),
    ("\"No,\" she said when I asked about the keys, and then, quietly, \"not again.\"", None),
    ("I'm sorry but I can't make it tonight, my mum fell down the stairs again", None),
    ("Here is what I found under the sink this morning: half a mouse and a sock.", None),
    ("My brother told me to write a letter to the landlord and I just laughed at him.", None),
    ("So tired, so done with this place 😩 #nightshift #help", None),
    ("", "empty"),
    (" \n\t ", "empty"),
    ("\"\"", "empty"),
    ("\u200b\u202e\x00", "empty"),
    ("😭😭😭", "empty"),
    ("I'm sorry, but I can't help with that request.", "refusal"),
    ("I’m sorry, but I can’t create content that depicts fear.", "refusal"),
    ("As an AI language model, I do not have feelings but here is a text anyway.", "refusal"),
    ("I cannot create content that promotes stereotypes about nurses or other people.", "refusal"),
    ("I am unable to fulfill this request because it goes against my guidelines.", "refusal"),
    ("Sure! I came home and the door was open and I could not move at all.", "meta"),
    ("As requested, I came home and the door was open and I could not move.", "meta"),
    ("Here is a tweet written from the nurse's view about the door that was open.", "meta"),
    ("My name is [Your Name] and I came home to find the door wide open.", "meta"),
    ("Dear {{name}}, the door was open when I came home and I ran away.", "meta"),
    ("The persona comes home and finds the door open and does not dare go in.", "meta"),
    ("Okay, so I need to write a post about a door. The nurse should sound shaken.", "meta"),
    ("The door was open and I ran. This text conveys fear through short sentences.", "meta"),
    ("The door was open and I ran. Let me know if you'd like another version!", "meta"),
    ("1. The door was open and I ran away. 2. I sat in the car until morning.", "meta"),
    ("Write a post that expresses fear in 8 to 60 words about an open door.", "meta"),
    ("the door is open the door is open the door is open the door is open", "garbled"),
    ("I came home and the d\ufffd\ufffdr was standing wide open in the dark.", "garbled"),
    ("I came home after the night shift and the door was wide open, and", "truncated"),
    ("I ran. When I came back to the house in the morning I saw the", "truncated"),
    ("The door was open.", "length"),
    (LONG, "length"),
    ("Mein Bus ist heute schon wieder ausgefallen und keiner hat uns Bescheid gesagt.", "language"),
    ("I came home after a night shift and found the front door wide open and froze.", "echo"),
    ("We found the front door wide open, really.", "echo"),
    ("The door stood open when I got back and I was so scared I ran.", "leak"),
    ("The door stood open when I got back, so I called 555-0142 and ran.", "personal"),
    ("The door stood open when I got back and I saw Sarah Miller run.", "personal"),
    ("The door stood open when I got back and some gyppo, he said, ran.", "slur"),
]  # fmt: skip

FOREIGN = {
    "de": (
        "Mein Bus ist heute schon wieder ausgefallen und keiner hat uns Bescheid gesagt.",
        "Ich habe den ganzen Abend gewartet, aber er hat einfach nicht angerufen.",
        "Endlich habe ich die Prüfung bestanden, und meine Mutter hat vor Freude geweint!",
        "Der Kühlschrank stinkt so sehr, dass ich die Küche nicht mehr betreten kann.",
        "Wir fahren am Wochenende zu meinen Großeltern, wenn das Wetter gut bleibt.",
    ),
    "fr": (
        "Mon patron a encore oublié de payer mes heures supplémentaires ce mois-ci.",
        "Je n'arrive pas à croire qu'elle soit partie sans même me dire au revoir.",
        "Ce matin, le petit a marché tout seul pour la première fois dans le salon.",
        "On a trouvé une souris morte derrière le frigo et l'odeur était horrible.",
        "J'ai attendu deux heures à la gare et personne n'est venu me chercher.",
    ),
    "es": (
        "Otra vez se fue la luz y perdí todo el trabajo de la mañana.",
        "No puedo creer que mi hermana haya venido desde tan lejos para verme.",
        "El vecino puso la música a todo volumen hasta las cuatro de la madrugada.",
        "Hoy enterramos a mi abuelo y todavía busco su silla en la cocina.",
        "Mañana tengo la entrevista y no he podido dormir en toda la noche.",
    ),
    "it": (
        "Il treno è in ritardo di due ore e nessuno ci dice niente.",
        "Ho aperto la porta e c'erano tutti i miei amici con una torta.",
        "Non riesco a dormire, continuo a pensare a quello che mi ha detto ieri.",
        "Mia nonna ci ha lasciati stanotte, la casa sembra già così vuota.",
        "Che schifo, ho trovato un capello nella pasta e il cameriere rideva.",
    ),
    "pt": (
        "O meu filho passou no vestibular e a família inteira está comemorando hoje.",
        "Fiquei presa no elevador por uma hora e ninguém atendia o telefone.",
        "Ele prometeu que voltaria cedo, mas a comida já está fria na mesa.",
        "Encontrei uma carta da minha mãe dentro de um livro velho ontem à noite.",
        "Não acredito que cancelaram o voo de novo sem nenhuma explicação.",
    ),
    "nl": (
        "Mijn fiets is gisteren gestolen terwijl ik even brood ging halen bij de bakker.",
        "We hebben eindelijk de sleutel van ons nieuwe huis gekregen, wat een dag!",
        "Hij zei dat hij zou bellen, maar ik heb nog steeds niets gehoord.",
        "De dokter wil me morgen spreken en ik durf er niet aan te denken.",
        "Er lag een halve muis op het tapijt en de kat keek heel trots.",
    ),
    "sv": (
        "Grannen har borrat sedan sju i morse och jag blir snart galen.",
        "Min dotter ringde i går kväll och berättade att hon väntar barn.",
        "Jag hörde steg i trappan fast jag var helt ensam hemma.",
        "Det luktar så illa i källaren att ingen vill gå ner dit längre.",
        "Vi fick beskedet i dag, och jag vet inte vad jag ska säga till honom.",
    ),
    "pl": (
        "Wczoraj ktoś porysował mi samochód i nawet nie zostawił kartki.",
        "Nie mogę uwierzyć, że po tylu latach znowu się spotkaliśmy na dworcu.",
        "Całą noc siedziałam przy oknie i czekałam, aż wróci do domu.",
        "Syn dostał pierwszą pracę i zaprosił nas wszystkich na obiad.",
        "W zupie pływała mucha, a kelner powiedział, że to przyprawa.",
    ),
    "tr": (
        "Komşumuz gece yarısı yine duvarı delmeye başladı, artık dayanamıyorum.",
        "Kızım bugün ilk kez bisiklete bindi ve bütün sokak onu alkışladı.",
        "Doktorun ne söyleyeceğini düşünmekten bütün gece gözüme uyku girmedi.",
        "Annemin sesini bir daha duyamayacağımı hâlâ kabul edemiyorum.",
        "Kapıyı açtım ve karşımda on yıldır görmediğim kardeşim duruyordu.",
    ),
    "ru": (
        "Сегодня утром мне позвонили и сказали, что меня взяли на работу.",
        "Сосед опять всю ночь слушал музыку, и я совсем не выспалась.",
        "Мы похоронили дедушку, а его очки так и лежат на столе.",
        "Кто-то дышал в трубку и молчал, и мне стало не по себе.",
        "Я открыла холодильник и чуть не упала от этого запаха.",
    ),
    "zh": (
        "今天早上公司突然通知我不用再来上班了,我站在门口不知道该去哪里。",
        "奶奶走了以后,她种的那棵树今年第一次开花了。", "楼上的邻居又在半夜拖椅子,我已经三天没有睡好觉了。",
        "孩子第一次叫我妈妈的时候,我的眼泪一下子就流下来了。", "冰箱里的肉已经长毛了,整个厨房都是那个味道。",
    ),
    "ja": (
        "昨日の夜、誰もいないはずの二階から足音が聞こえてきました。",
        "娘が初めて一人で自転車に乗れて、家族みんなで拍手しました。",
        "電車がまた遅れて、大事な会議に間に合いませんでした。",
        "祖母の手紙を引き出しの奥で見つけて、しばらく動けなかった。",
        "隣の人が毎晩遅くまで大きな音で音楽を流している。",
    ),
}  # fmt: skip
"""Sentences written for this test: 5 in each of 12 languages."""


def rules(language: str | None = "en", *, emotion: str = "fear", reject: bool = True) -> TextRules:
    """Return the rules of a row of 8 to 60 words."""
    words = emotion_pattern(emotion)
    pattern = None if words is None else make_caseless(words)
    return TextRules(8, 60, language, pattern, reject, reject_personal=reject, reject_slurs=reject)


@pytest.mark.parametrize(("reply", "reason"), REPLIES)
def test_each_reply_is_accepted_or_rejected_for_its_reason(reply: str, reason: str | None) -> None:
    assert check_text(reply, prompt=PROMPT, finish="stop", rules=rules()).reason == reason


def test_every_reason_has_a_reply() -> None:
    assert {reason for _, reason in REPLIES} == {None, *get_args(TextRejectReason)}


def test_a_text_that_needs_no_cleaning_is_unchanged() -> None:
    assert check_text(GOOD, prompt=PROMPT, finish="stop", rules=rules()).text == GOOD


def test_a_leak_is_flagged_even_if_it_does_not_reject() -> None:
    text = "The door stood open when I got back and I was so scared I ran."
    assert check_text(text, prompt="", finish="stop", rules=rules(reject=False)) == Verdict(text, None, leaked=True)
    assert not check_text(text, prompt="", finish="stop", rules=rules(emotion="joy")).leaked
    assert not check_text(text, prompt="", finish="stop", rules=TextRules(1, 60, None, None, reject_leaks=True)).leaked


def test_leaks_are_looked_for_in_english_texts_only() -> None:
    """Elsewhere no word of the lexicon can be found: nothing is flagged, nothing rejected, and null says so."""
    english, german = "The door stood open and I was so scared I ran.", FOREIGN["de"][0]
    assert check_text(german, prompt="", finish="stop", rules=rules("de")) == Verdict(german, None, leaked=None)
    assert check_text(german, prompt="", finish="stop", rules=rules(None)) == Verdict(german, None, leaked=None)
    assert check_text(GOOD, prompt="", finish="stop", rules=rules(None)) == Verdict(GOOD, None, leaked=False)
    assert check_text(english, prompt="", finish="stop", rules=rules(None)).reason == "leak"
    for emotion in ("fear", "neutral"):
        assert check_text(german, prompt="", finish="stop", rules=rules("de", emotion=emotion)).leaked is None


@given(st.text(st.characters(codec=None)), st.sampled_from(["stop", "length"]), st.text())
def test_every_string_has_one_verdict(text: str, finish: str, prompt: str) -> None:
    """No string raises, and the reason is one of the list."""
    verdict = check_text(text, prompt=prompt, finish=finish, rules=rules())
    assert verdict.reason is None or verdict.reason in get_args(TextRejectReason)
    assert verdict == check_text(text, prompt=prompt, finish=finish, rules=rules())
    assert verdict.reason is not None or 8 <= count_words(verdict.text) <= 60


HOSTILE = [
    "\"", "(", "- ", "1. ", "\n", " ", "a", "a ", "a. ", "\"a. ", "sorry ",
    "[your ", "<think>", "#", "\u200d", "here is a ", "I'm ",
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_a_hostile_reply_is_read_up_to_its_bound_only(unit: str) -> None:
    """A megabyte of anything is treated like its first characters."""
    prompt, whole = unit * 1000, unit * (1_000_000 // len(unit))
    verdict = check_text(whole, prompt=prompt, finish="stop", rules=rules())
    assert verdict == check_text(whole[: MAX_CHARACTERS + 1], prompt=prompt, finish="stop", rules=rules())
    assert len(verdict.text) <= MAX_CHARACTERS


def test_a_cut_text_is_reduced_if_enough_is_left() -> None:
    """Otherwise it is rejected, and the reject has the whole text."""
    verdict = check_text(GOOD + " And then I", prompt="", finish="length", rules=rules())
    assert verdict == Verdict(GOOD, None, leaked=False)
    short = "I ran. And then I heard the steps come up the stairs behind me"
    assert check_text(short, prompt="", finish="length", rules=rules()) == Verdict(short, "truncated", leaked=False)


@pytest.mark.parametrize("language", sorted(FOREIGN))
def test_a_foreign_sentence_is_rejected_as_english_and_accepted_as_itself(language: str) -> None:
    for sentence in FOREIGN[language]:
        assert check_text(sentence, prompt="", finish="stop", rules=rules()).reason == "language", sentence
        assert check_text(sentence, prompt="", finish="stop", rules=rules(language)).reason is None, sentence
        assert check_text(sentence, prompt="", finish="stop", rules=rules(None)).reason is None, sentence


def test_words_that_look_english_do_not_hide_another_language() -> None:
    for sentence in (
        "Gestern lief The Last of Us im Fernsehen und danach sind wir alle ganz leise nach Hause gegangen.",
        "Ik wist niet of hij ziek was of dat hij geen zin had om met ons mee te gaan naar de stad.",
        "Vi var på stranden hele dagen, og om kvelden hadde far laget mat til alle på hytta.",
    ):
        assert check_text(sentence, prompt="", finish="stop", rules=rules()).reason == "language", sentence


def test_a_language_that_cannot_be_identified_is_refused() -> None:
    """The message lists the others."""
    assert {"en", "de", "zh"} <= CHECKABLE_LANGUAGES
    with pytest.raises(ValueError, match=r"language 'xx' cannot be checked; take one of af, .*zu, or none"):
        TextRules(8, 60, "xx", None, reject_leaks=False)

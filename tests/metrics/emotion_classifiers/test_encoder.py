"""The emotion classifier that is a fine-tuned encoder: a small one that learns what two kinds of words mean."""

from pathlib import Path

import pytest

from personagen.metrics.emotion_classifiers.encoder import train_encoder
from personagen.metrics.emotion_classifiers.linear import Labelled
from personagen.metrics.texts.cache import cache_folder

pytestmark = pytest.mark.slow

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "happy", "scared", "me", "you", "so"]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An encoder of one layer, not trained."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    monkeypatch.setenv("PERSONAGEN_CACHE", str(tmp_path / "cache"))
    inner = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    folder = tmp_path / "small"
    PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=384, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    BertForSequenceClassification(config).bert.save_pretrained(folder)
    return str(folder)


def labelled(count: int) -> Labelled:
    labels = ["joy" if row % 2 else "fear" for row in range(count)]
    return [f"{'me' if row % 3 else 'you'} so {'happy' if row % 2 else 'scared'}" for row in range(count)], labels


def test_it_learns_is_kept_and_reads_the_same_then(model: str) -> None:
    classifier = train_encoder(labelled(1200), labelled(60), "words", model)
    assert classifier.classes == ("fear", "joy") and classifier.facts.accuracy == 1.0
    assert (classifier.facts.trained_on, classifier.facts.tested_on, classifier.facts.model) == (1080, 60, "small")
    told = classifier.read(["me so happy", "you so scared"])
    assert [reading.label for reading in told] == ["joy", "fear"] and min(r.confidence for r in told) > 0.5
    (kept,) = cache_folder("classifiers").iterdir()
    assert not list(kept.glob("*.bin")), "no pickle"
    again = train_encoder(labelled(1200), labelled(60), "words", model)
    assert again.facts == classifier.facts and again.read(["me so happy"]) == told[:1] and again.read([]) == []


def test_what_cannot_be_trained_is_told(model: str) -> None:
    with pytest.raises(ValueError, match=r"^cannot load model 'no/such-encoder' \(.*\); name an encoder$"):
        train_encoder(labelled(40), labelled(20), "words", "no/such-encoder")
    with pytest.raises(ValueError, match=r"^no test text has a label that the classifier was trained on"):
        train_encoder(labelled(40), (["me"], ["awe"]), "words", model)

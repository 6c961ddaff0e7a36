"""The emotion classifier with a fine-tuned encoder: a small one learns the meaning of two kinds of words."""

from pathlib import Path

import pytest

from personagen.metrics.emotion_classifiers import Labelled, train_encoder
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
    inner = Tokenizer(models.WordLevel({word: row for row, word in enumerate(WORDS)}, unk_token="[UNK]"))
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


def test_a_cached_classifier_predicts_the_same(model: str) -> None:
    classifier = train_encoder(labelled(1200), labelled(60), "words", model)
    assert classifier.classes == ("fear", "joy") and classifier.facts.accuracy == 1.0
    assert (classifier.facts.trained_on, classifier.facts.tested_on, classifier.facts.model) == (1080, 60, "small")
    predictions = classifier.predict(["me so happy", "you so scared"])
    assert [prediction.label for prediction in predictions] == ["joy", "fear"]
    assert min(prediction.confidence for prediction in predictions) > 0.5
    (folder,) = cache_folder("classifiers").iterdir()
    assert not list(folder.glob("*.bin")), "no pickle"
    again = train_encoder(labelled(1200), labelled(60), "words", model)
    assert again.facts == classifier.facts and again.predict(["me so happy"]) == predictions[:1]
    assert again.predict([]) == []


def test_refusals(model: str) -> None:
    with pytest.raises(ValueError, match=r"^cannot load model 'no/such-encoder' \(.*\); name an encoder$"):
        train_encoder(labelled(40), labelled(20), "words", "no/such-encoder")
    with pytest.raises(ValueError, match=r"^no test text has a label of the training texts"):
        train_encoder(labelled(40), (["me"], ["awe"]), "words", model)

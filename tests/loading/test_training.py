"""Trainers take a release as it comes: no column is selected, none is removed."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict, load_dataset

from personagen.builder.export.export import export
from tests.helpers.releasing import EMOTIONS, records

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("plain_datasets")]


@pytest.fixture
def train(release: Path) -> Dataset:
    return load_dataset(str(release), split="train")


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("form", ["torch", None])
@pytest.mark.parametrize("config", ["all", "joy", "depth_none", "demographic", "sociocultural", "situational"])
def test_a_data_loader_takes_every_column(config: str, form: str | None, workers: int, release: Path) -> None:
    torch = pytest.importorskip("torch")
    rows = load_dataset(str(release), config, split="train").with_format(form)
    batches = list(torch.utils.data.DataLoader(rows, batch_size=4, num_workers=workers))
    assert len(batches) == -(-len(rows) // 4)
    assert set(batches[0]) == set(rows.column_names)


def test_a_data_loader_takes_a_stream(release: Path) -> None:
    torch = pytest.importorskip("torch")
    stream = load_dataset(str(release), split="train", streaming=True).with_format("torch")
    labels = [int(label) for batch in torch.utils.data.DataLoader(stream, batch_size=8) for label in batch["label"]]
    assert labels == [row["label"] for row in records(release, "all", "train")]


def test_the_trainer_of_transformers_trains_with_every_column(train: Dataset, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from tests.helpers.models.tiny_model import save_tokenizer

    size = save_tokenizer(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.pad_token = tokenizer.eos_token
    config = transformers.LlamaConfig(
        vocab_size=size, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_labels=len(EMOTIONS), pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    trainer = transformers.Trainer(
        model=transformers.LlamaForSequenceClassification(config),
        args=transformers.TrainingArguments(str(tmp_path / "out"), max_steps=2, use_cpu=True, report_to="none"),
        train_dataset=train.map(lambda batch: tokenizer(batch["text"], truncation=True, max_length=64), batched=True),
        data_collator=transformers.DataCollatorWithPadding(tokenizer),
    )
    assert trainer.train().global_step == 2


def save_sentence_model(folder: Path) -> None:
    """Save a random sentence model of one layer."""
    transformers = pytest.importorskip("transformers")
    modules = pytest.importorskip("sentence_transformers.models")
    sentence_transformers = pytest.importorskip("sentence_transformers")
    from tests.helpers.models.tiny_model import save_tokenizer

    base = folder / "base"
    size = save_tokenizer(base)
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.save_pretrained(base)
    config = transformers.BertConfig(
        vocab_size=size, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2
    )
    transformers.BertModel(config).save_pretrained(base)
    transformer = modules.Transformer(str(base), max_seq_length=64)
    sentence_transformers.SentenceTransformer(modules=[transformer, modules.Pooling(32)], device="cpu").save(
        str(folder / "model")
    )


@pytest.mark.parametrize("source", ["plain", "setfit"])
def test_the_trainer_of_sentence_transformers_trains_with_every_column(
    source: str, release: Path, tmp_path: Path
) -> None:
    """Its trainer encodes each column but the label."""
    pytest.importorskip("accelerate", reason="the trainer needs the extra `train` of sentence-transformers")
    sentence_transformers = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer import losses

    if source == "plain":
        rows = load_dataset(str(release), "plain", split="train")
    else:
        rows = load_dataset(str(export(release, "setfit", out=tmp_path / "personagen-setfit").path), split="train")
    save_sentence_model(tmp_path)
    model = sentence_transformers.SentenceTransformer(str(tmp_path / "model"), device="cpu")
    settings = {"max_steps": 1, "per_device_train_batch_size": 8, "use_cpu": True, "report_to": "none"}
    trainer = sentence_transformers.SentenceTransformerTrainer(
        model=model,
        args=sentence_transformers.SentenceTransformerTrainingArguments(str(tmp_path / "out"), **settings),
        train_dataset=rows,
        loss=losses.BatchAllTripletLoss(model),
    )
    assert trainer.train().global_step == 1


def test_scikit_learn_trains_on_texts_and_names(train: Dataset) -> None:
    pytest.importorskip("sklearn")
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    fitted = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(train["text"], train["emotion"])
    assert set(fitted.classes_) == set(EMOTIONS)


def test_attributes_of_personas_become_labels_after_flatten(train: Dataset) -> None:
    flat: Any = train.flatten().class_encode_column("demographic.mbti")
    names = flat.features["demographic.mbti"].names
    assert [names[label] for label in flat["demographic.mbti"]] == [row["demographic"]["mbti"] for row in train]


def test_splits_can_be_stratified(release: Path) -> None:
    loaded = load_dataset(str(release))
    assert isinstance(loaded, DatasetDict)
    parts = loaded["train"].train_test_split(test_size=7, stratify_by_column="label", seed=0)
    assert sorted(parts["test"]["label"]) == list(range(7))

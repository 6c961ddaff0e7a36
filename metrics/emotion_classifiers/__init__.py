"""Classifiers that predict the emotion of a text, with calibrated confidence and their accuracy on unseen texts."""

from personagen.metrics.emotion_classifiers.classifier import (
    ClassifierFacts,
    EmotionClassifier,
    Labelled,
    Prediction,
    train_and_test,
)
from personagen.metrics.emotion_classifiers.encoder import train_encoder
from personagen.metrics.emotion_classifiers.linear import LinearClassifier, train_linear

__all__ = [
    "ClassifierFacts",
    "EmotionClassifier",
    "Labelled",
    "LinearClassifier",
    "Prediction",
    "train_and_test",
    "train_encoder",
    "train_linear",
]

"""Cut words into frequent parts of words."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from components.transform.step import Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column


class WordPieces(TransformStep):
    """Cuts each token into pieces learned from the training data, so that hardly a word is outside the vocabulary.

    Use it behind `tokenize: words` and before `token_ids`, where new words come up while serving: a word never seen is
    cut into pieces that were. Common words stay whole. With few texts, or before `tf_idf`, whole words do better.

    Learning joins the pair of neighbouring pieces that raises the likelihood of the training words most, again and
    again. Cutting takes from the beginning of a word on always the longest piece that fits. A piece that does not
    begin a word is written `##ing`. All of it is made of TensorFlow's own operations, so that TF Serving knows them.

    Args:
        size: how many pieces are learned at most, `unknown` and single characters included; from 2 to 200,000.
        max_word_length: characters of the longest word that is cut; longer ones are unknown; from 1 to 1000.
        unknown: the piece that stands for a word with a character that training never saw.

    Shapes:
        tokens `[batch, any]` to tokens `[batch, any]`.

    Reference:
        Schuster and Nakajima, Japanese and Korean Voice Search, 2012 (the learning); Devlin et al., BERT, 2019, and
        https://arxiv.org/abs/1609.08144 (the cutting).

    Example:
        >>> WordPieces(size=4000).unknown
        '[UNK]'
    """

    shorthand: ClassVar[str | None] = "size"
    accepts: ClassVar[frozenset[Kind]] = frozenset({"tokens"})

    size: int = Field(default=8000, ge=2, le=200_000)
    max_word_length: int = Field(default=100, ge=1, le=1000)
    unknown: str = Field(default="[UNK]", min_length=1)

    def apply(self, column: Column) -> Column:
        """Return the pieces."""
        import tensorflow as tf

        from components.transform.tokens import as_ragged
        from components.transform.word_pieces import cut, learned_pieces

        words = tf.strings.unicode_transcode(column.values.values, "UTF-8", "UTF-8")
        pieces = learned_pieces(words, self.size, self.unknown)
        column = column.learning(pieces=tf.size(pieces.texts))
        of_words = cut(words, pieces, self.unknown, self.max_word_length)
        texts = as_ragged(column.values)
        nested = tf.RaggedTensor.from_row_splits(of_words, texts.row_splits, validate=False)
        return column.with_values(nested.merge_dims(1, 2).to_sparse())

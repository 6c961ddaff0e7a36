"""Chat templates of the kinds that models come with, written anew as short as the kind allows."""

from collections.abc import Mapping
from functools import partial

from personagen.builder.llm.chat_templates.rendering import RenderTemplate

_HEADS = "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
CHATML = (
    "{% for m in messages %}" + _HEADS + "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Renders every chat."""

_ALTERNATE = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
    "{% endif %}{% endfor %}"
)
GEMMA_2 = (
    "{{ bos_token }}"
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    + _ALTERNATE
    + "{% for m in messages %}<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
"""Raises on a system turn, and on roles that do not alternate."""

MISTRAL_1 = (
    "{{ bos_token }}"
    + _ALTERNATE
    + "{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
    "{% elif m['role'] == 'assistant' %}{{ m['content'] }}{{ eos_token }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)
"""Raises on a system turn; a reply has no heading."""

DROPS_SYSTEM = (
    "{% for m in messages %}{% if m['role'] != 'system' %}" + _HEADS + "{% endif %}{% endfor %}<|im_start|>assistant\n"
)
"""Drops system turns without an error."""

LAST_TURN = "<|user|>{{ messages[-1]['content'] }}<|assistant|>"
"""Renders the last turn only."""

NEEDS_USER = (
    "{% if messages | selectattr('role', 'equalto', 'user') | list | length == 0 %}"
    "{{ raise_exception('No user query found in messages.') }}{% endif %}" + CHATML
)
"""Raises on a chat without a user turn."""

NO_SYSTEM_WITHIN = (
    "{% for m in messages %}{% if m['role'] == 'system' and not loop.first %}"
    "{{ raise_exception('System message must be at the beginning.') }}{% endif %}{% endfor %}" + CHATML
)
"""Raises on a system turn that is not the first."""

PARTS = (
    "{% for m in messages %}<|{{ m['role'] }}|>"
    "{% for part in m['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% endfor %}<|assistant|>"
)
"""Of a model for images and text: drops a content that is no list of parts."""

LLAMA_3 = (
    "{% if not date_string is defined %}{% set date_string = '26 Jul 2024' %}{% endif %}"
    "{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{% if loop.first %}Today Date: {{ date_string }}\n\n{% endif %}{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
"""Has a default for the date."""

NEEDS_DATE = (
    "{% for m in messages %}{% if m['role'] == 'system' %}"
    "{{ 'Today: ' + date_string + '\n' + style + '\n' }}{% endif %}{% endfor %}" + CHATML
)
"""Raises on a system turn without two variables."""

REFUSES_OPTIONS = "{% if enable_thinking is defined %}{{ raise_exception('unknown option') }}{% endif %}" + CHATML
"""Raises on options that it does not know."""

BROKEN = "{% for m in messages %}{{ m['content']"
"""No template at all, by its syntax."""

_REPLIES = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}<|im_start|>assistant\n"
    "{{ m['content'].split('</think>')[-1].lstrip() }}<|im_end|>\n{% else %}" + _HEADS + "{% endif %}{% endfor %}"
)
"""Turns of a model that thinks: its thoughts are removed from earlier replies."""

DEEPSEEK_R1 = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] }}"
    "{% elif m['role'] == 'user' %}<｜User｜>{{ m['content'] }}"
    "{% else %}<｜Assistant｜>{{ m['content'].split('</think>')[-1] }}<｜end▁of▁sentence｜>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}"
)
"""Opens a thought in every prompt."""

DEEPSEEK_V31 = (
    "{% if not thinking is defined %}{% set thinking = false %}{% endif %}"
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] }}"
    "{% elif m['role'] == 'user' %}<｜User｜>{{ m['content'] }}"
    "{% else %}<｜Assistant｜></think>{{ m['content'].split('</think>')[-1] }}<｜end▁of▁sentence｜>{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<｜Assistant｜>{{ '<think>' if thinking else '</think>' }}{% endif %}"
)
"""Closes the thought unless `thinking` is set."""

QWEN_3 = _REPLIES + (
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
"""Thinks unless `enable_thinking` is false; the model opens the thought."""

QWEN_35 = _REPLIES + (
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '\n</think>\n\n' }}{% endif %}{% endif %}"
)
"""Thinks unless `enable_thinking` is false; the prompt opens the thought."""

QWQ = _REPLIES + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
"""Always thinks; the model opens the thought."""

OWN_SWITCH = _REPLIES + (
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if reasoning is not defined or reasoning %}[THINK]"
    "{% endif %}{% endif %}"
)
"""Opens a thought unless a variable of its own is false."""

BUDGET = CHATML + "{% if thinking_budget is defined and thinking_budget == 0 %}<seed:think>\n</seed:think>{% endif %}"
"""Thinks unless a number is 0; the model opens the thought."""

NEMOTRON = (
    "{% for m in messages %}<SPECIAL_11>{{ m['role'] }}\n{% if m['role'] == 'assistant' %}<think></think>{% endif %}"
    "{{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}<SPECIAL_11>assistant\n<think>\n{% endif %}"
)
"""Closes the thought of every earlier reply."""

COMMAND_A = (
    "{% for m in messages %}<|START_OF_TURN_TOKEN|><|{{ m['role'] | upper }}_TOKEN|>"
    "{% if m['role'] == 'assistant' %}<|START_RESPONSE|>{% endif %}{{ m['content'] }}<|END_OF_TURN_TOKEN|>{% endfor %}"
    "<|START_OF_TURN_TOKEN|><|ASSISTANT_TOKEN|>"
    "{% if enable_thinking is false %}<|START_THINKING|><|END_THINKING|>{% else %}<|START_THINKING|>{% endif %}"
)
"""Marks of thoughts without a slash, and a mark of its own for earlier replies."""

GPT_OSS = (
    "<|start|>system<|message|>Current date: {{ strftime_now('%Y-%m-%d') }}\n"
    "Reasoning: {{ reasoning_effort if reasoning_effort is defined else 'medium' }}<|end|>"
    "{% for m in messages %}{% if m['role'] == 'system' %}<|start|>developer<|message|>"
    "{% elif m['role'] == 'assistant' %}<|start|>assistant<|channel|>final<|message|>"
    "{% else %}<|start|>{{ m['role'] }}<|message|>{% endif %}{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
"""Levels of effort, and channels instead of marks."""

OPENS_CHANNEL = GPT_OSS.replace(
    "<|start|>assistant{% endif %}", "<|start|>assistant<|channel|>analysis<|message|>{% endif %}"
)
"""Opens the channel of thoughts in every prompt."""

TWO_EFFORTS = (
    "{% if reasoning_effort is defined and reasoning_effort not in ['none', 'high'] %}"
    "{{ raise_exception('reasoning_effort must be none or high') }}{% endif %}" + CHATML
)
"""Raises on most levels of effort."""

COMMAND_R = {"default": CHATML, "rag": BROKEN, "tool_use": BROKEN}
"""Several templates by name."""

HERMES = {"tool_use": CHATML, "rag": CHATML.replace("im_", "rag_"), "agent": BROKEN}
"""Several templates by name, none of them the default."""


def renderer_of(template: str | Mapping[str, str]) -> tuple[RenderTemplate, dict[str, str]]:
    """Return the function with which transformers renders a template, or one of several, and the templates by name."""
    import tokenizers
    import transformers

    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, unk_token="a"))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = template if isinstance(template, str) else dict(template)
    render = partial(tokenizer.apply_chat_template, tokenize=False)
    return render, {"default": template} if isinstance(template, str) else dict(template)

"""Words and signs that voice an emotion without naming it, in English, by kind; and words of feeling beside the lexicon.

Written for this project. Entries are regular expressions for `word_pattern`: whole words, regardless of case, with
typographic apostrophes read as "'".
"""

from collections.abc import Mapping

PROFANITY = (
    r"(?:mother)?fuck(?:s|ed|er|ers|in[g']?|in|wit|ery)?|fucks?ake|wtf|stfu|gtfo|omfg|ffs|af",
    r"(?:bull|horse|dip|bat)?shit(?:s|ty|show|ting|head|hole|ting|ter)?|crap(?:py|s)?|piss(?:es|ing)?",
    r"(?:god)?damn(?:ed|it)?|dammit|damnit|goddammit|(?:what|who|why|how|where) the (?:hell|heck)|(?:to|go to|bloody) hell|hell(?: no| yeah| of a)",
    r"ass(?:es|hole|holes|hat|hats|wipe)?|arse(?:hole)?|(?:dumb|jack|smart|bad|lazy|cheap)ass(?:es)?",
    r"bastards?|bitch(?:es|ing|y)?|dick(?:s|head|heads)?|prick(?:s)?|douche(?:bag|bags)?|wanker(?:s)?|bloody|bugger(?:ed)?|bollocks|sod off",
)
"""Swear words."""

INSULTS = (
    r"idiot(?:s|ic)?|moron(?:s|ic)?|imbeciles?|fools?|dumb|dumbest|stupid(?:ity|ly|est)?|loser(?:s)?|jerk(?:s)?|scum(?:bag|bags)?|creep(?:s)?|"
    r"clown(?:s)?|coward(?:s)?|liar(?:s)?|pathetic|pig(?:s)?|rat(?:s)?|cheater(?:s)?|hypocrit(?:e|es|ical)|trash|garbage|"
    r"ridiculous|disgrac(?:e|eful)|shame on|screw (?:you|this|that|him|her|them|it)|shut up|get lost|go away|get out",
)
"""Insults and words that send someone away."""

LAUGHTER = (r"(?:a*(?:ha|he|hi|ho){2,}h?|ba?ha(?:ha)+|haha?s?|lo+l+(?:ol)*|lmf?ao+|rofl+|lulz?|hehe+|kek|xd+)",)
"""Written laughter."""

THANKS = (
    r"thanks?(?! (?:to\b|god\b|goodness|heavens|giving))|thank (?:you|u|ya)|thx|ty|tysm|cheers|much appreciated|kudos|congrat(?:s|z|ulations)|"
    r"well done|good (?:job|for you|luck|one)|great (?:job|work)|nice (?:one|job|work)|bravo|welcome back|happy (?:birthday|anniversary|new year)|bless (?:you|your|her|him|them)|enjoy (?:your|the|it)|god bless|best wishes|love ya",
)
"""Thanks, congratulations and good wishes."""

APOLOGIES = (
    r"sorry|apolog(?:y|ies|i[sz]e[sd]?|i[sz]ing)|forgive me|my (?:bad|fault|condolences)|condolences|r\.?i\.?p|rest in peace|my heart (?:goes|breaks|aches|hurts)",
)
"""Apologies and condolences."""

PLEAS = (
    r"please|pls|plz|i beg|i'm begging|begging you|for (?:god|heaven|christ|pete|fuck)'?s sake|help me|don't (?:hurt|leave|shoot|kill|let|make me|go)|"
    r"god help|lord help|save (?:me|us)|be careful|watch out|look out|run!?|leave me alone|stay (?:safe|away)|let me go|i wish|if only|why me",
)
"""Pleas, warnings and wishes."""

INTERJECTIONS = (
    r"o+m+g+|oh my(?: god| gosh| goodness| lord)?|(?:oh|dear|good|my) (?:god|gosh|lord|dear|no|man|boy)|jesus(?: christ)?|christ|holy (?:shit|crap|cow|moly|fuck|smokes|hell)|"
    r"wo+w+|whoa+|ya+y+|ye+s{3,}|woo+(?: ?hoo+)?|yippee|hurray|hooray|hurrah|u+g+h+|a+r+g+h+|gr+|e+w+|yu+c?k+|blech|bleh|yikes|ee+k+|a+h{2,}|a+w{2,}|aw+|oh no+|n+o{3,}|noo+|uh[- ]?oh|"
    r"alas|sigh(?:s|ed)?|boo+|phew|whew|oops|ouch|ow+|huh|gosh|gee+(?: whiz)?|geez|jeez|damn|dang|darn|shoot|hm{2,}|no way|are you (?:kidding|serious|insane|crazy|nuts)|you(?:'re| are) kidding|unbelievable|incredible|"
    r"what (?:a|an)|how (?:dare|could) (?:you|he|she|they)|what(?:'s| is) wrong with|what were you thinking|hell yeah|fuck yeah|let's go+|can't believe|cannot believe|boy oh boy|good grief|for real\?",
)
"""Interjections and exclamations."""

FEELING_WORDS: Mapping[str, tuple[str, ...]] = {
    "anger": (
        r"hat(?:e[sd]?|ing|ers?|red)|fed up|sick (?:of|and tired)|tired of|had (?:it|enough)|pissed|mad(?:dest)?|bitter|jealous|enraged|can't stand|cannot stand|offended|insulted",
    ),
    "disgust": (r"hat(?:e[sd]?|red)|sick(?:ens|ened|ening)?|nasty|can't stand|filthy|nausea|nauseous|gross|disgusts?",),
    "fear": (
        r"worry|worries|concern(?:ed|ing|s)?|horror|nightmares?|paranoi(?:a|d)|creepy|creeps|scar(?:y|ed)|threaten(?:ed|ing)|insecure|helpless|anxiety|panick(?:y|ed)",
    ),
    "joy": (
        r"enjoy(?:s|ed|ing|able|ment)?|fun(?:nier|niest|ny)?|pleas(?:ed|ure|antly)|satisf(?:ied|ying|action)|amaz(?:ed|ing)|wonderful|awesome|impress(?:ed|ive|ing)|"
        r"excit(?:ed|ing|ement)|hope(?:s|ful|fully)?|dreams?|lucky|blessed|cheer(?:ful|ing)|laugh(?:s|ed|ing|ter)?|hilarious|good mood",
    ),
    "sadness": (
        r"miss(?:es|ed|ing)? (?:you|him|her|them|my|the|it|this|that|those|our|home|everyone|us)|lonel(?:y|iness)|all alone|hurt(?:s|ing|ful)?|pain(?:ful|s)?|suffer(?:s|ed|ing)?|"
        r"hopeless(?:ness)?|upset|cr(?:y|ied|ies|ying)|tears|homesick|ashamed|bummed|bummer|tragic|tragedy|pity|regrets?|unfortunate(?:ly)?|feel(?:ing|s)? (?:bad|awful|terrible|low|like shit)",
    ),
    "surprise": (
        r"wonder(?:s|ed|ing)?|curious(?:ly)?|confus(?:e[sd]?|ing|ion)|puzzl(?:ed|ing)|baffl(?:ed|ing)|weird|strange|amaz(?:ed|ing)|speechless|odd|never expected|did(?:n't| not) expect|reali[sz]e[sd]?",
    ),
}
"""Further words of feeling by family of emotions: too broad for the lexicon of words that name one label."""

"""Words that voice an emotion without naming it, in English, by kind; and words of feeling beside the emotion lexicon.

Written for this project; mended after reading matches in GoEmotions, XED and BRIGHTER. Entries are regular expressions
for `word_pattern`: whole words, regardless of case, with typographic apostrophes read as "'". Lookarounds leave out
literal uses ("run a shop", "knee jerk", "rip off") and politeness ("please call me", "I wish to inform you").
"""

from collections.abc import Mapping

_START = r"(?:^|(?<=[.!?,;:*(\"-] )|(?<=[\"(*-]))"
"""Start of a text, sentence or clause: there a bare verb is an imperative, and "what a" an exclamation."""

_PLEASE = r"(?:please|pls|plz)"

PROFANITY = (
    r"(?:mother)?fuck(?:s|ed|er|ers|in[g']?|wit|wits|ery)?|f[*u]+ck?(?:ing|in|ed)?|wtf|stfu|gtfo|omfg|ffs|af",
    r"(?:bull|horse|dip|bat|dog)?shit(?:s|ty|show|shows|ting|head|heads|hole|holes|ter)?|(?:bull)?sh[*]t(?:ty)?",
    r"crap(?:py|s)?|piss(?:es|ing)?(?! contest)|pissed(?! (?:myself|himself|herself|in|on))",
    r"(?:god)?damn(?:ed|it)?|dammit|goddammit|darn(?:ed|it)?|dang(?:it)?",
    r"(?:what|who|why|how|where) the (?:hell|heck|fuck)|(?:to|go to|bloody|in|as|like|the) hell",
    r"hell(?: no| yeah| of a)",
    r"ass(?:es|hole|holes|hat|hats|wipe|wipes)?|arse(?:s|hole|holes)?",
    r"(?:dumb|jack|smart|bad|lazy|cheap|half)-?ass(?:es|ed)?",
    r"bastards?|bitch(?:es|ing|y)?|dick(?:s|head|heads)?|pricks?|douche(?:bag|bags)?|wankers?|twats?|cunts?",
    r"whores?|sluts?",
    r"bloody(?! (?:nose|knees?|hands?|foot\w*|face|shirt|knife|wounds?|mary|mess))|bugger(?:ed)?|bollocks|sod off",
    r"(?:this|that|it|life|really|just|so|which|all) sucks?|sucks (?:to|that|when|so|big|balls)",
    r"(?:freak|frick|frig|eff)in[g']?",
)
"""Swear words."""

INSULTS = (
    r"idiot(?:s|ic)?|moron(?:s|ic)?|imbeciles?|(?<!to )fools?|(?<!play )(?<!plays )dumb(?! luck| waiter)|dumber",
    r"dumbest",
    r"stupid(?:ity|ly|est|er)?|losers?|(?<!knee )(?<!knee-)jerks?(?! (?:it|off|him|her|his|reaction|chicken))",
    r"scum(?:bag|bags)?",
    r"(?:an?|these|those|that|this|you|some|little|fucking|absolute|total) creeps?(?! (?:up|in|out|into))",
    r"(?:these|those|this|you|such a|what a|of|fucking|little|damn) clowns?|cowards?|liars?|pathetic",
    r"hypocrit(?:e|es|ical)",
    r"(?:you|dirty|filthy|fat|lying|little|stinking|disgusting|such a|fascist|chauvinist) (?:pigs?|rats?|swine)",
    r"cheaters?",
    r"(?:is|are|was|were|of|such|absolute|total|pure|complete|human|utter|white) (?:trash|garbage)",
    r"ridiculous|disgraceful|(?:a|such a|total|absolute|what a) disgrace|shame on",
    r"screw (?:you|this|that|him|her|them|it|off)",
    r"shut up|shut the \w+ up|get lost(?! in)|get a life",
    r"get (?:the \w+ )?out(?: of (?:here|there)| of my \w+)?(?=[.!,\"]|$| now)",
    rf"{_START}go away|piss off|drop dead|rot in|burn in|grow up",
)
"""Insults, and words that send someone away."""

LAUGHTER = (
    r"(?:a*(?:ha|he|hi|ho){2,}h?|ba?ha(?:ha)+|hah|heh|lo+l+(?:ol)*|lmf?ao+|rofl+|lulz?|kek|xd+|haha?s)",
    rf"{_START}ha(?=[!,.]|$)|ha(?=$)",
)
"""Written laughter."""

THANKS = (
    r"thanks(?! (?:to|giving)\b)|thank (?:you|u|ya|y'all)|thank(?=$)|thx|tysm|(?:give|gives|many) thanks",
    r"much appreciated|kudos",
    r"ty(?= (?:for|so|man|bro|all)\b|[.!,]|$)|cheers(?=[.!,]|$| (?:for|to|dude|man|mate|bro|guys))",
    r"congrat(?:s|z|ulations)",
    r"well done(?! (?:steak|meat))|good (?:job|for you|luck)|(?:have|had) a good one",
    r"great (?:job|work)|nice (?:one|job|work)|bravo|welcome back|happy (?:birthday|anniversary|new year|cake day)",
    r"bless (?:you|your|her|him|them|us)|god bless|best wishes|all the best|love ya|way to go",
    rf"{_START}enjoy (?:your|the|it)",
    r"(?:i|we) wish (?:you|him|her|them|u|everyone|y'all) (?:an?|all|the|good|well|luck|nothing|much|every|success)",
)
"""Thanks, congratulations and good wishes."""

APOLOGIES = (
    r"sorry|apolog(?:y|ies|i[sz]e[sd]?|i[sz]ing)|forgive me|my bad(?! [a-z])|my fault|condolences",
    r"r\.?i\.?p\.?(?! (?:off|it|them|apart|up|your|my|his|her|the|into|out|a|through|current)\b)|rest in peace",
    r"my heart (?:goes|breaks|aches|hurts|bleeds)|(?:you|u) poor (?:thing|baby|guy|girl|kid|man|woman|soul)",
    rf"{_START}(?:that |the )?poor (?:thing|guy|girl|kid|baby|boy|man|woman|soul|bastard|\w+[.!])|that poor \w+",
)
"""Apologies, condolences and pity."""

PLEAS = (
    rf"{_PLEASE},? (?:{_PLEASE}|don't|do not|no|stop|help|god|lord|forgive|save|someone|somebody|come back|make it)",
    rf"{_PLEASE} (?:tell me|let (?!(?:me|us) know)(?:me|us|it|him|her|them|that|this|there)|be (?:careful|safe))",
    rf"{_START}{_PLEASE}, i(?:'m)?|pretty please|(?:someone|somebody),? {_PLEASE}|can (?:someone|somebody) {_PLEASE}",
    rf"(?:oh|god|no|just|oh god),? {_PLEASE}|{_PLEASE}!+|{_START}{_PLEASE}(?=$)|please+(?<=eee)",
    r"(?:i'm |i am |im )begging|i beg (?:you|of you)(?! pardon)",
    r"for (?:god|heaven|christ|pete|fuck|goodness)'?s?'? sake",
    rf"(?:{_START}|(?:somebody|someone|god|lord|please) )(?:help|save) (?:me|us)(?! (?:out|with|to|understand)\b)",
    r"help!",
    rf"{_START}don't (?:hurt|leave|shoot|kill|let|make me|go|touch|move|you dare|even think|ever)",
    rf"{_START}(?:be careful|watch out|look out|watch it|stay (?:safe|away|back)|let me go|let go)|run!",
    r"leave me alone|why me",
    r"i (?:just |really |so |do |only )?wish (?:i|it|he|she|they|we|this|that|there|my|people|someone|more|every|the)",
    r"(?:bruh|man|lol|haha|god) i wish|i wish(?=[.!]|$)|if only|if i could only",
    rf"{_START}wish (?:i|it|he|she|they|we|you|there)",
)
"""Pleas, warnings and wishes that things were otherwise."""

THREATS = (
    r"i (?:\w+ )?(?:want to|wanna|could) (?:\w+ly )?(?:murder|kill|strangle|punch|slap) (?:you|him|her|them|this|that)",
    r"(?:i'll|i will|i'm gonna|i'm going to) (?:kill|murder|strangle|break) you",
    r"you'll (?:pay for|regret) (?:this|that|it)",
    r"how (?:dare|could) (?:you|he|she|they)|don't you dare|you'd better",
    r"what(?:'s| is) wrong with (?:you|people|him|her|them)",
)
"""Threats and rebukes."""

INTERJECTIONS = (
    r"o+m+g+(?:osh|od)?|oh+ my(?: \w+)?|(?:oh|dear|good|my) (?:god+|gosh|lord(?=[!,]))",
    r"oh (?:dear|no+|man|boy|wow|shit|shoot|well)",
    r"(?<!of )(?<!in )(?<!with )(?<!to )(?<!by )(?:jesus(?: (?:h )?christ)?|christ)(?! (?:is|was|said|loves)\b)",
    r"holy (?:shit|crap|cow|moly|fuck|smokes|hell)|thank (?:god|goodness|heavens)|for real\?|good grief|amen",
    r"wo+w+|whoa+|woah+|ya+y+|ye+s{3,}|woo+(?: ?hoo+)?|yippee|hurray|hooray|hurrah|u+g+h+|a+r+g+h+|gr{2,}|e+w+",
    r"yu+c?k+",
    r"blech|bleh|yikes|ee+k+|a+h{2,}|a+w+(?: man)?|n+o{2,}|uh[- ]?oh|alas|sigh|boo+(?=[!.,]|$)|phew|whew|oops|ouch",
    r"ow+",
    r"huh(?=[!?.,]|$)|gosh|gee+(?: whiz)?|geez+|je+z+|haiz|meh|yeesh|sheesh|hallelujah|bruh",
    r"no way(?=[!.,?]|$| (?:man|dude|bro))",
    r"are you (?:kidding|serious|insane|crazy|nuts|mad|out of your)",
    r"you(?:'re| are| have to be|'ve got to be) kidding|unbelievable",
    r"(?:i |we |just |still )?(?:can't|cannot|cant|couldn't|could not) believe|what were you thinking|come on!",
    r"oh,? come on",
    rf"(?:{_START}|(?:and|but|oh|man|wow|god) )what an? (?!(?:about|if|is)\b)|such a shame",
    rf"{_START}how (?!many|much|long|old|often|far|about|come|so|far)[a-z]+[.!]",
    rf"(?:{_START}|but |and |oh )man,? (?:that|this|i|what|you|do|he|she|it)|let's go+o+|let's go(?=[!,])",
    r"let's go [\[\w\]]+!",
    r"boy oh boy|oh,? the \w+!|for crying out loud|my goodness|goodness(?: gracious| me)?(?=[!,])|face ?palm|smh",
)
"""Interjections and exclamations."""

MISSPELT = (
    r"u(?![./])|ur|urs|r(?![./])|im|ive|ill be|dont|cant|wont|didnt|doesnt|isnt|wasnt|arent|couldnt|shouldnt|wouldnt",
    r"havent|hasnt|thats|whats|theres|youre|theyre|hes|shes|lets|gonna|wanna|gotta|kinda|sorta|dunno|gimme|lemme",
    r"cuz|coz|cos|bc|tho",
    r"thru|nite|tonite|ppl|pls|plz|thx|idk|idc|tbh|imo|imho|ngl|rn|w/|b4|gr8|l8r|2day|2moro|tmr|tmrw|msg|txt|alot",
    r"prolly",
    r"definately|recieve|wierd|teh|ya|yall|aint|wat|wut|wuz|da|dat|dis|dem|den|smh|btw|omw|jk|ikr|bday|luv|hav|wen",
    r"abt",
)
"""Chat spellings and missing apostrophes."""

FINITE_VERBS = (
    r"am|is|are|was|were|be|been|'?m|'re|'s|'ve|'ll|'d|do|does|did|have|has|had|can|could|will|would|should|may",
    r"might|must|shall|get|got|go|went|come|came|make|made|say|said|know|knew|think|thought|see|saw|want|wanted",
    r"take|took|tell|told|feel|felt|let|look|need|keep|kept|put|find|found|give|gave|love|hate|hope|like|try|stop",
    r"\w+n't|\w{3,}ed",
)
"""Frequent finite verbs: a sentence without one counts as a fragment."""

FEELING_WORDS: Mapping[str, tuple[str, ...]] = {
    "anger": (
        r"hat(?:e[sd]?|ing|ers?|red)|fed up|sick (?:of|and tired)|tired of",
        r"(?:had|have had) (?:it (?:up to|with)|enough)|pissed",
        r"enraged|can't stand|cannot stand|offended|(?:take|took|taking) offen[cs]e|insulted|contempt(?:uous)?",
        r"despis(?:e[sd]?|ing)|loath(?:e[sd]?|ing)|detest(?:s|ed|ing)?",
        r"(?:see|saw|seeing|sees) red|(?:had|have|has|bad|my|his|her|your|for|of) temper",
        r"ill-?tempered",
        r"bitter(?:ly|ness)?(?! (?:taste|sweet|cold|lemon|chocolate|end))|jealous(?:y)?",
    ),
    "disgust": (
        r"hat(?:e[sd]?|red)|sick (?:of|to my stomach)",
        r"(?:make|makes|made|making) (?:me|you|us) (?:feel )?(?:so )?sick|sicken(?:s|ed|ing)?",
        r"(?:be|feel|feeling|felt|feels) sick|sick (?:fuck|bastard|freak)s?|nast(?:y|ier|iest)|the creeps",
        r"can't stand|filthy",
        r"nausea|nauseous",
        r"gross|queasy|foul(?:est)?|revolt(?:s|ed|ing)|disgusts?|contempt(?:ible|uous)?|despis(?:e[sd]?|ing)",
        r"loath(?:e[sd]?|ing|some)",
        r"detest(?:s|ed|ing)?|(?:don't|didn't|doesn't|never) like(?:d|s)?",
    ),
    "fear": (
        r"worr(?:y|ies|ied)|(?:am|is|are|was|were|so|bit|very|get|got|really|be|i'm|deeply) concern(?:ed|ing)",
        r"horr(?:or|ors|ific|ible|ifying)",
        r"nightmar(?:e|es|ish)|paranoi(?:a|d)|creepy|creep(?:s|ed|ing)? (?:me|him|her|us) out|the creeps",
        r"scar(?:y|ier|iest|ed)",
        r"(?:feel|felt|feeling) (?:threatened|helpless|insecure|unsafe)|insecure|helpless(?:ness)?|anxi(?:ety|ous)",
        r"panick(?:y|ed|ing)",
        r"freak(?:s|ed|ing)? (?:me |him |her |us |them )?out",
    ),
    "joy": (
        r"enjoy(?:s|ed|ing|able|ment)?|(?<!make )(?<!made )fun|funn(?:y|ier|iest)|pleas(?:ed|ure|antly)",
        r"satisf(?:ied|ying|action)",
        r"amaz(?:e|es|ed|ing|ingly)|wonderful(?:ly)?|awesome|fantastic|incredibl[ey]|impress(?:ed|ive|ing)",
        r"excit(?:ed|ing|ement)",
        r"hop(?:e|es|ed|ing)(?! (?:less|chest))|hopeful(?:ly)?|lucky|luckily|blessed|cheer(?:ful|fully|ing)",
        r"hilarious|good mood",
        r"(?:a|such|of|my|great|some) comfort|comforting|comforted",
        r"(?:i|we|you|they|s?he) (?:\w+ )?lik(?:e|ed) (?:it|this|that|him|her)",
    ),
    "sadness": (
        r"(?:i|we|will|'ll|really|still|gonna|do|so) miss(?:es|ed)? (?:you|him|her|them|my|it|our|home|everyone)",
        r"(?:i|we|we all|i really|i still|i do|i just|i'll|we'll) miss (?:the|this|that|those|when|being|having)",
        r"missing (?:you|him|her|them|my|home|everyone)|lonel(?:y|iness)|(?:all|so|feel|felt) alone",
        r"hopeless(?:ness)?|upset(?:ting)?",
        r"(?:it|that|this|really|still|so|feel|felt|feelings?|heart) hurts?",
        r"hurt(?:s|ing)? (?:so much|inside|my feelings)|hurtful",
        r"(?:am|i'm|so|was|feel|felt) (?:so |really |deeply )?hurt (?:that|by|when|and|to)",
        r"(?:your|my|his|her|the|such|emotional|in|of|so much) pain(?! in the)|pain(?:ful|fully)",
        r"suffer(?:s|ed|ing)?|homesick|ashamed",
        r"bummed|bummer|trag(?:ic|edy|ically)|pit(?:y|ied|iful)|regrets?|regretted|unfortunate(?:ly)?",
        r"heart-?(?:broken|breaking)|(?:broke|breaks|breaking|broken) (?:my|our|his|her|their) hearts?",
        r"(?:feel|feels|felt|feeling) (?:so |really )?(?:bad|awful|terrible|low|like shit|down|useless|worthless)",
    ),
    "surprise": (
        r"wonder(?:s|ed|ing)?(?! woman)|curious(?:ly)?|confus(?:e[sd]?|ing|ion|ingly)|puzzl(?:ed|ing)",
        r"baffl(?:ed|ing|es)|weird(?:ly)?",
        r"strange(?:ly)?(?! to\b)|amaz(?:ed|ing)|speechless|(?:don't|do not|can't|didn't) (?:understand|figure)",
        r"odd(?:ly)?(?! (?:numbers?|jobs?))",
        r"never (?:expected|thought i'd)",
        r"(?:did(?:n't| not)|wasn't|was not|hadn't) expect(?:ing|ed)?",
        r"(?:just |suddenly |didn't (?:even )?|did not )reali[sz]ed?|incredibl[ey]",
        r"(?:i|then|we|just|never) reali[sz]ed?",
    ),
    "anticipation": (
        r"excit(?:ed|edly|ing|ement)|hop(?:e|es|ed|ing)(?! (?:less|chest))|hopeful(?:ly)?|hyped|pumped",
        r"curious(?:ly)?",
        r"impatien(?:t|tly|ce)|keen (?:to|on)|(?:been |am |are |i'm |we're )expecting|longing (?:for|to)|suspense",
    ),
    "trust": (
        r"(?:feel|feels|felt) safe|honest(?:ly)?(?! to god)|loyal(?:ty)?|(?:have|has|had|every) confidence",
        r"faithful(?:ly)?",
        r"believe in (?:you|him|her|them|us)|in (?:good|safe) hands",
    ),
}
"""Further words of feeling by family of emotions: too broad for the lexicon of words that name one label."""

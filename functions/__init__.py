"""One folder per Lambda function.

Loading a function makes 100,000 objects and no garbage. Python would search them again and
again, which takes a tenth of the time until the first answer.
"""

import gc

gc.set_threshold(200_000)

import os, sys
from torture import scaling
from torture.scaling import *
w,p,r,wk,l = map(int, os.environ["TRY"].split(","))
size = Size(windows=w, pages=p, rounds=r, workers=(wk,) if wk==1 else (1,wk), losses=l)
from torture.machines import *
if not is_inside():
    sys.exit(go_inside("torture._try", []))
print(scaling._measured(size)[0])

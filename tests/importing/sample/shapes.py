SIDES = 4

def area(a, b=1):
    return a * b
